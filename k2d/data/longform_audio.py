"""Make long recordings from a list of short ones: their audio is written once, their utterances become segments."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import K2DError
from k2d.core.progress import track
from k2d.data.audio import RATE_HZ, AudioError, Cause, probe, read, resolve, write
from k2d.data.longform import ByTime, Concatenate, Long, Piece, arrange
from k2d.data.rows import Utterance

LONG = "_long"
When = Callable[[Utterance], tuple[str, float]]
_DIGEST_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class Asked:
    """A split, and how to make another one, `<split><suffix>`, of long recordings from it."""

    split: str
    suffix: str
    how: Concatenate | ByTime
    when: When | None = None
    """Gives the session of an utterance, and the second of the session at which its audio starts."""


def with_long(
    rows: Iterable[tuple[str, Utterance]], asked: Sequence[Asked], store: Path
) -> Iterator[tuple[str, Utterance]]:
    """(split, utterance) pairs unchanged, then those of the long splits."""
    of_split: dict[str, list[Utterance]] = {each.split: [] for each in asked}
    for split, row in rows:
        yield split, row
        if split in of_split:
            of_split[split].append(row)
    for each in asked:
        if not of_split[each.split]:
            message = f"found no utterances of {each.split}, expected some for {each.split}{each.suffix}"
            raise K2DError(f"{message}; prepare that split too, or do not ask for long recordings of it")
        for row in _lengthened(of_split[each.split], each, store):
            yield f"{each.split}{each.suffix}", row


def _lengthened(rows: Iterable[Utterance], asked: Asked, store: Path) -> Iterator[Utterance]:
    """The same utterances as parts of long recordings. One with bad audio stays unchanged, and stage 1 rejects it."""
    pieces = []
    for row in rows:
        try:
            pieces.append(piece_of(row, *(asked.when(row) if asked.when else ())))
        except AudioError as error:
            if error.cause is Cause.MACHINE:
                raise
            yield row
    yield from written(arrange(pieces, asked.how), store, f"{asked.split}{asked.suffix}: writing audio")


def piece_of(row: Utterance, session: str | None = None, at_s: float | None = None) -> Piece:
    """An utterance with its number of samples. AudioError if it cannot be read."""
    if row.start_s is not None and row.end_s is not None:
        n_samples = round(row.end_s * RATE_HZ) - round(row.start_s * RATE_HZ)
    else:
        n_samples = round(probe(resolve(row.audio)).duration_s * RATE_HZ)
    return Piece(row, n_samples, session, at_s)


def written(longs: Sequence[Long], store: Path, label: str) -> Iterator[Utterance]:
    """Write the audio below `store`, unless it exists, and yield the utterances."""
    if not longs:
        return
    folder = store / f"long-{_digest(longs)}"
    if not folder.is_dir():
        partial = new_partial_folder(folder)
        for number, long in enumerate(track(longs, label, len(longs), "recordings")):
            write(partial / _name(number), _samples(long), RATE_HZ, durable=False)
        publish_folder(partial, folder)
    for number, long in enumerate(longs):
        yield from _rows(long, folder / _name(number))


def _name(number: int) -> str:
    return f"{number:05d}.flac"


def _digest(longs: Sequence[Long]) -> str:
    """A digest of everything that determines the audio: the pieces, their files and their places."""
    digest = hashlib.sha256()
    for long in longs:
        for placed in long.pieces:
            row = placed.piece.row
            digest.update(f"{long.name} {placed.start} {placed.end} {row.start_s} {row.audio}\n".encode())
    return digest.hexdigest()[:_DIGEST_CHARACTERS]


def _samples(long: Long) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The audio of a long recording. Pauses are silence."""
    samples = np.zeros(long.pieces[-1].end, np.float32)
    for placed in long.pieces:
        row = placed.piece.row
        heard = read(resolve(row.audio), row.start_s, row.end_s)[: placed.piece.n_samples]
        samples[placed.start : placed.start + len(heard)] = heard
    return samples


def _rows(long: Long, audio: Path) -> Iterator[Utterance]:
    for placed in long.pieces:
        yield replace(
            placed.piece.row,
            recording_id=long.name,
            audio=str(audio),
            start_s=placed.start / RATE_HZ,
            end_s=placed.end / RATE_HZ,
        )
