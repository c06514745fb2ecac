"""The rules of controls. They keep as many hours as another method, and so show what that method's choice is worth.

`random` draws chunks blindly. `oracle` keeps the chunks whose labels have the lowest true error rate: about the most
that any rule could gain at these hours, and nothing that can be known without transcripts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from k2d.select.chunk_row import ChunkRow, Decision
from k2d.select.rules import EMPTY_TEACHER

VERSION = 1

REASONS = {"random": "not_drawn", "oracle": "true_error"}
"""Why a chunk is dropped, by the rule."""

Rank = Callable[[ChunkRow], float]
"""The lower, the earlier a chunk is kept."""

_RANKED = np.dtype([("rank", "f8"), ("tie", "f8"), ("duration_s", "f8")])
_DRAW_OF_TIES = 0  # no control can have this draw: the config counts them from 1


def drawn(draw: int) -> Rank:
    """A random number in [0, 1) for each chunk: of its id and the draw alone, so that every run draws the same."""

    def rank(row: ChunkRow) -> float:
        digest = hashlib.blake2b(f"{draw} {row.id}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    return rank


def decisions(
    read_rows: Callable[[], Iterable[ChunkRow]], rank: Rank, wanted_s: float, reason: str
) -> Iterator[Decision]:
    """Keep chunks in the order of their ranks, until their audio is as near as possible to the wanted duration.

    The rows are read twice: first to find the last rank that is kept, then to decide. A label without tokens is never
    kept.
    """
    break_tie = drawn(_DRAW_OF_TIES)
    labelled = (row for row in read_rows() if row.distances.n_a)
    ranked = ((rank(row), break_tie(row), row.duration_s) for row in labelled)
    is_kept_N = first_ranks(np.fromiter(ranked, _RANKED), wanted_s)
    kept = iter(is_kept_N.tolist())
    for row in read_rows():
        if not row.distances.n_a:
            yield Decision(row.id, EMPTY_TEACHER, rank(row))
        else:
            yield Decision(row.id, "" if next(kept) else reason, rank(row))


def first_ranks(ranked_N: NDArray[np.void], wanted_s: float) -> NDArray[np.bool_]:
    """Which chunks are kept: so many of the lowest ranks that the sum of their durations is nearest to `wanted_s`.

    >>> ranked = np.array([(0.3, 0, 10.0), (0.1, 0, 10.0), (0.2, 0, 10.0)], _RANKED)
    >>> first_ranks(ranked, 14.0).tolist(), first_ranks(ranked, 16.0).tolist(), first_ranks(ranked, 4.0).tolist()
    ([False, True, False], [False, True, True], [False, False, False])
    """
    order_N = np.argsort(ranked_N, order=("rank", "tie"), kind="stable")
    sums_s = np.concatenate([[0.0], np.cumsum(ranked_N["duration_s"][order_N])])
    n_kept = int(np.argmin(np.abs(sums_s - wanted_s)))
    is_kept_N = np.zeros(len(ranked_N), bool)
    is_kept_N[order_N[:n_kept]] = True
    return is_kept_N
