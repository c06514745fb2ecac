"""The stretch of a test set whose decoding is timed, as a whole and in pieces."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from k2d.data.rows import Recording
from k2d.inference.decode_job import Item


def first_stretch(recordings: Iterable[Recording], limit_s: float) -> list[Item]:
    """The first recordings of a set by id, up to the limit. The last one is cut there.

    >>> rows = [Recording("a", "a.wav", 70.0), Recording("b", "b.wav", 90.0), Recording("c", "c.wav", 9.0)]
    >>> [(item.id, item.end_s) for item in first_stretch(rows, 120.0)]
    [('a', 70.0), ('b', 50.0)]
    """
    found: list[Item] = []
    left_s = limit_s
    for row in recordings:
        if left_s <= 0:
            break
        end_s = min(row.duration_s or 0.0, left_s)
        if end_s > 0:
            found.append(Item(row.id, row.audio, 0.0, end_s, end_s))
            left_s -= end_s
    return found


def in_pieces(items: Iterable[Item], piece_s: float) -> list[Item]:
    """The same audio in pieces of at most `piece_s`, so that there are enough pieces for a batch.

    >>> [(piece.start_s, piece.end_s) for piece in in_pieces([Item("a", "a.wav", 0.0, 25.0)], 10.0)]
    [(0.0, 10.0), (10.0, 20.0), (20.0, 25.0)]
    """
    return [
        replace(item, id=f"{item.id}-{n:03d}", start_s=start_s, end_s=min(start_s + piece_s, item.end_s or 0.0))
        for item in items
        for n, start_s in enumerate(n * piece_s for n in range(math.ceil((item.end_s or 0.0) / piece_s)))
    ]
