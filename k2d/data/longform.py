"""Arrange utterances in long recordings: the recording of each, and its place there. Does no input or output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

from k2d.core.errors import K2DError
from k2d.data.audio.read import RATE_HZ
from k2d.data.rows import Utterance

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Piece:
    """An utterance with its length and, if the corpus gives them, its session and its time within the session."""

    row: Utterance
    n_samples: int
    session: str | None = None
    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A piece, and the sample of the long recording at which it starts."""

    piece: Piece
    start: int

    @property
    def end(self) -> int:
        return self.start + self.piece.n_samples


@dataclass(frozen=True, slots=True)
class Long:
    """A long recording. `name` is unique in its set."""

    name: str
    pieces: tuple[Placed, ...]


@checked(frozen=True, config=_STRICT)
class Concatenate:
    """Utterances one after another in row order, as in Distil-Whisper. Speakers and sessions are mixed.

    The borders are those of the paper's authors, whose tool started a new recording at each batch and each worker's
    share.
    """

    max_s: Annotated[float, Field(gt=0)] = 30.0
    batch: Annotated[int, Field(ge=1)] = 500
    shards: Annotated[int, Field(ge=1)] = 16


@checked(frozen=True, config=_STRICT)
class ByTime:
    """Utterances of a session in their real order, with their real pauses."""

    max_pause_s: Annotated[float, Field(gt=0)] | None = None
    """A longer pause is shortened to this. None: pauses are kept."""


def arrange(pieces: Sequence[Piece], how: Concatenate | ByTime) -> list[Long]:
    """The long recordings made of these pieces. Each piece is in exactly one of them."""
    return list(_concatenated(pieces, how) if isinstance(how, Concatenate) else _by_time(pieces, how))


def _concatenated(pieces: Sequence[Piece], how: Concatenate) -> Iterator[Long]:
    n_made = 0
    most = int(how.max_s * RATE_HZ)
    for shard in shares(len(pieces), how.shards):
        for first in range(shard.start, shard.stop, how.batch):
            for group in _filled(pieces[first : min(first + how.batch, shard.stop)], most):
                n_made += 1
                yield Long(f"long-{n_made:05d}", tuple(group))


def shares(n: int, parts: int) -> list[range]:
    """Contiguous shares of `n` rows. If they cannot be equal, the first ones have one row more.

    >>> shares(7, 3)
    [range(0, 3), range(3, 5), range(5, 7)]
    """
    least, more = divmod(n, parts)
    starts = [part * least + min(part, more) for part in range(parts + 1)]
    return [range(first, end) for first, end in pairwise(starts)]


def _filled(pieces: Sequence[Piece], most: int) -> Iterator[list[Placed]]:
    """Pieces packed greedily up to `most` samples. A piece that is longer than that stands alone."""
    group: list[Placed] = []
    for piece in pieces:
        start = group[-1].end if group else 0
        if group and start + piece.n_samples > most:
            yield group
            group, start = [], 0
        group.append(Placed(piece, start))
    if group:
        yield group


def _by_time(pieces: Sequence[Piece], how: ByTime) -> Iterator[Long]:
    unknown = [piece.row.id for piece in pieces if piece.session is None or piece.at_s is None]
    if unknown:
        shown = ", ".join(unknown[:_SHOWN])
        message = f"{len(unknown):,} of {len(pieces):,} utterances have no session and no time in it: {shown}"
        raise K2DError(f"by_time: {message}; the corpus does not tell the real order, so use concatenate")
    ordered = sorted(pieces, key=lambda piece: (piece.session or "", piece.at_s or 0.0, piece.row.id))
    for session, group in groupby(ordered, key=lambda piece: piece.session or ""):
        yield Long(session, tuple(_in_time(list(group), how.max_pause_s)))


def _in_time(pieces: list[Piece], max_pause_s: float | None) -> Iterator[Placed]:
    """The places of a session's pieces. A piece that started before the end of the last one is moved to that end."""
    end, end_at_s = 0, pieces[0].at_s or 0.0
    for piece in pieces:
        at_s = piece.at_s or 0.0
        pause_s = max(0.0, at_s - end_at_s)
        if max_pause_s is not None:
            pause_s = min(pause_s, max_pause_s)
        placed = Placed(piece, end + round(pause_s * RATE_HZ))
        yield placed
        end, end_at_s = placed.end, max(end_at_s, at_s + piece.n_samples / RATE_HZ)
