"""Convert byte pairs from ranks (bytes with their rank) to merges, the form that Hugging Face's tokenizers read."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from k2d.core.errors import K2DError
from k2d.models.visible_bytes import letters


def vocabulary(ranks: Mapping[bytes, int]) -> dict[str, int]:
    """Token ids by token, in the order of the ids."""
    visible = letters()
    in_order = sorted(ranks.items(), key=lambda item: item[1])
    return {"".join(visible[byte] for byte in token): rank for token, rank in in_order}


def merges(ranks: Mapping[bytes, int]) -> list[tuple[str, str]]:
    """The two parts of each longer token, in the order of the merges.

    >>> merges({b"a": 0, b"b": 1, b"ab": 2, b"aba": 3})
    [('a', 'b'), ('ab', 'a')]
    """
    visible = letters()
    made = sorted((rank, token) for token, rank in ranks.items() if len(token) > 1)
    halves = [_halves(token, rank, ranks) for rank, token in made]
    return [("".join(visible[b] for b in left), "".join(visible[b] for b in right)) for left, right in halves]


def _halves(token: bytes, rank: int, ranks: Mapping[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts of a token before its last merge. They are found by applying all merges of lower rank to its
    bytes.
    """
    parts = [token[n : n + 1] for n in range(len(token))]
    while len(parts) > 2:
        found = [ranks.get(left + right, rank) for left, right in pairwise(parts)]
        best = min(found)
        if best >= rank:
            raise K2DError(
                f"vocabulary: no two tokens before {token!r} (rank {rank}) form it; it is not a byte-pair token"
            )
        at = found.index(best)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    left, right = parts
    return left, right
