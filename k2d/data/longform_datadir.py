"""Make a data directory of long recordings from one of short recordings.

`utt2row` (a number for each utterance) gives the order of rows if it differs from the order of ids. `reco2session` and
`reco2start` give the session of a recording and its start within the session. In a directory with segments, each
recording is a session of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT
from k2d.data.audio.read import RATE_HZ
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.kaldi.datadir_writer import write_datadir
from k2d.data.kaldi.external_sort import read_lines
from k2d.data.kaldi.joins import split_row
from k2d.data.longform import ByTime, Concatenate, Piece, arrange
from k2d.data.longform_audio import piece_of, written
from k2d.data.rows import Utterance


@dataclass(frozen=True, slots=True)
class Lengthened:
    """The number of recordings and utterances written, and their hours."""

    n_utterances: int
    n_recordings: int
    hours: float


def lengthen_datadir(
    source: Path, destination: Path, how: Concatenate | ByTime, audio: Path, *, force: bool = False
) -> Lengthened:
    """Write `destination`, with its audio below `audio`."""
    rows = _in_row_order(list(read_utterances(source)), source)
    sessions, starts = _table(source, "reco2session"), _table(source, "reco2start")
    longs = arrange([_piece(row, sessions, starts) for row in rows], how)
    lengths_s = {long.name: long.pieces[-1].end / RATE_HZ for long in longs}
    # Audio inside the project is named relative to its root, so that the project can be moved.
    root = f"{PROJECT_ROOT}/"
    made = (replace(row, audio=row.audio.removeprefix(root)) for row in written(longs, audio, str(destination)))
    write_datadir(destination, made, durations_s=lengths_s.items(), force=force)
    return Lengthened(len(rows), len(longs), sum(lengths_s.values()) / 3600)


def _in_row_order(rows: list[Utterance], source: Path) -> list[Utterance]:
    """The rows in the order of `utt2row` if the directory has it, else by id."""
    numbers = _table(source, "utt2row")
    if not numbers:
        return rows
    if missing := [row.id for row in rows if not numbers.get(row.id, "").isdecimal()]:
        message = f"{len(missing):,} of {len(rows):,} utterances have no number, such as {missing[0]!r}"
        raise K2DError(f"{source / 'utt2row'}: {message}; run stage 1 (prepare) again, or remove the file")
    return sorted(rows, key=lambda row: int(numbers[row.id]))


def _table(source: Path, name: str) -> Mapping[str, str]:
    path = source / name
    return dict(map(split_row, read_lines(path))) if path.is_file() else {}


def _piece(row: Utterance, sessions: Mapping[str, str], starts: Mapping[str, str]) -> Piece:
    session, start = sessions.get(row.recording_id), starts.get(row.recording_id)
    if session is not None and start is not None:
        return piece_of(row, session, float(start) + (row.start_s or 0.0))
    return piece_of(row, None if row.start_s is None else row.recording_id, row.start_s)
