"""Read a Kaldi data directory as rows: sorted and joined by id, in bounded memory.

Sorted files are streamed. Files that are unsorted or must be normalised are first copied to a temporary folder (under
TMPDIR), which needs about as much space as these files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

from k2d.core.errors import FaultReport, K2DError, Treatment
from k2d.data.kaldi.external_sort import sort_lines
from k2d.data.kaldi.joins import differences, look_up, split_row
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.tables import Table, open_table
from k2d.data.rows import Recording, Utterance

Tables = dict[str, Table]  # by file name


class InvalidData(K2DError):
    """A data directory, or the rows for one, with faults: it must not be used."""

    def __init__(self, folder: Path, report: FaultReport) -> None:
        lines = report.lines(Treatment.REJECT)
        super().__init__("\n".join([f"{folder}: {report.count(Treatment.REJECT)} faults", *lines]))
        self.folder, self.report = folder, report

    def __reduce__(self) -> tuple[type[InvalidData], tuple[Path, FaultReport]]:
        return InvalidData, (self.folder, self.report)


class Segment(NamedTuple):
    """The value of a line in `segments`."""

    recording_id: str
    start_s: float
    end_s: float


def parse_segment(value: str) -> Segment | None:
    """The segment. None if the value cannot be parsed; that is reported when the table is opened.

    >>> parse_segment("lecture1 0.5 2"), parse_segment("lecture1 0,5 2")
    (Segment(recording_id='lecture1', start_s=0.5, end_s=2.0), None)
    """
    if KINDS["segments"].problem(value):
        return None
    recording_id, start, end = value.split(" ")
    return Segment(recording_id, float(start), float(end))


def open_tables(folder: Path, scratch: Path, report: FaultReport) -> Tables:
    """Every known table of the directory that can be used. Faults go to the report."""
    found = [kind for kind in KINDS.values() if (folder / kind.name).exists()]
    opened = [open_table(folder / kind.name, kind, scratch, report) for kind in found]
    return {table.kind.name: table for table in opened if table is not None}


def read_utterances(folder: Path) -> Iterator[Utterance]:
    """The utterances of a data directory by id. InvalidData or K2DError if the directory has faults."""
    with tempfile.TemporaryDirectory(prefix="k2d-read-") as scratch:
        tables = sound_tables(folder, Path(scratch), required=("wav.scp", "utt2spk"))
        yield from _utterances(tables, Path(scratch))


def read_recordings(folder: Path) -> Iterator[Recording]:
    """The recordings of a data directory by id, with or without segments."""
    with tempfile.TemporaryDirectory(prefix="k2d-read-") as scratch:
        tables = sound_tables(folder, Path(scratch), required=("wav.scp",))
        wav = tables["wav.scp"]
        durations = stated_durations(tables)
        for (key, audio), duration in zip(wav.rows(), _column(wav, durations), strict=False):
            yield Recording(key, audio, None if duration is None else float(duration))


def stated_durations(tables: Tables) -> Table | None:
    """The table that states the durations of the recordings, if there is one."""
    return tables.get("reco2dur") or (None if "segments" in tables else tables.get("utt2dur"))


def sound_tables(folder: Path, scratch: Path, required: tuple[str, ...]) -> Tables:
    """The tables of a directory without faults. InvalidData or K2DError otherwise."""
    if not folder.is_dir():
        raise K2DError(f"{folder}: no such data directory")
    for name in required:
        if not (folder / name).exists():
            raise K2DError(f"{folder / name}: the file is missing; `python -m k2d data validate` lists all faults")
    report = FaultReport()
    tables = open_tables(folder, scratch, report)
    if report.count(Treatment.REJECT):
        raise InvalidData(folder, report)
    return tables


def _utterances(tables: Tables, scratch: Path) -> Iterator[Utterance]:
    utt2spk, text, segments = tables["utt2spk"], tables.get("text"), tables.get("segments")
    for other in (text, segments, tables.get("utt2lang"), None if segments else tables["wav.scp"]):
        _demand_same_ids(utt2spk, other)
    audio: Iterator[str | None]
    if segments is None:
        audio = _column(utt2spk, tables["wav.scp"])
    else:
        audio = (value for _, value in audio_of_segments(segments, tables["wav.scp"], scratch))
    columns = zip(  # of equal length: the ids are the same
        utt2spk.rows(),
        _column(utt2spk, text),
        _column(utt2spk, segments),
        _column(utt2spk, tables.get("utt2lang")),
        audio,
        strict=False,
    )
    for (key, speaker), words, span, language, path in columns:
        assert path is not None
        if segments is None or span is None:
            yield Utterance(key, key, path, speaker, words, language=language)
        else:
            segment = _sound_segment(segments, key, span)
            yield Utterance(key, segment.recording_id, path, speaker, words, segment.start_s, segment.end_s, language)


def _column(rows: Table, table: Table | None) -> Iterator[str | None]:
    """The value in `table` for each row of another table."""
    if table is None:
        return repeat(None)
    return (value for _, _, value in look_up(rows.rows(), table.rows()))


def audio_of_segments(segments: Table, wav: Table, scratch: Path) -> Iterator[tuple[str, str]]:
    """Each utterance id with the audio value of its recording, by utterance id."""
    recordings = (f"{value.partition(' ')[0]} {utterance_id}" for utterance_id, value in segments.rows())
    by_recording = sort_lines(recordings, scratch)
    found = look_up(map(split_row, by_recording), wav.rows())
    return map(split_row, sort_lines(_utterance_and_audio(found, segments), scratch))


def _utterance_and_audio(found: Iterator[tuple[str, str, str | None]], segments: Table) -> Iterator[str]:
    for recording_id, utterance_id, audio in found:
        if audio is None:
            message = f"{segments.source}: {utterance_id!r} is of recording {recording_id!r}, which is not in wav.scp"
            raise K2DError(f"{message}; `python -m k2d data fix` leaves such utterances out")
        yield f"{utterance_id} {audio}"


def _sound_segment(segments: Table, key: str, value: str) -> Segment:
    segment = parse_segment(value)
    if segment is None or segment.end_s <= segment.start_s:
        message = f"{segments.source}: {key!r} ends before it begins ({value})"
        raise K2DError(f"{message}; `python -m k2d data fix` leaves it out")
    return segment


def _demand_same_ids(left: Table, right: Table | None) -> None:
    if right is None:
        return
    for key, in_left in differences(left.ids(), right.ids()):
        has, lacks = (left, right) if in_left else (right, left)
        message = f"{key!r} is in {has.kind.name} but not in {lacks.kind.name}"
        raise K2DError(f"{has.source.parent}: {message}; `python -m k2d data fix` keeps the ids that all files have")
