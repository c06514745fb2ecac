"""Write the part of a data directory that belongs to given utterances: their lines, recordings and speakers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from k2d.core.errors import FaultReport, Treatment
from k2d.data.kaldi.datadir import InvalidData, Tables, open_tables
from k2d.data.kaldi.datadir_writer import write_spk2utt
from k2d.data.kaldi.external_sort import read_lines, sort_lines
from k2d.data.kaldi.joins import Row, joined_row, keep, split_row
from k2d.data.kaldi.kinds import Key
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validation import AudioLevel, Checks


def open_valid(folder: Path, scratch: Path) -> Tables:
    """The tables of a directory whose tables are valid. The audio is not checked."""
    found = validate(folder, Checks(audio=AudioLevel.NONE, need_text=False))
    if found.report.count(Treatment.REJECT):
        raise InvalidData(folder, found.report)
    return open_tables(folder, scratch, FaultReport())


def write_selection(tables: Tables, kept: Path, destination: Path, scratch: Path) -> None:
    """Write every table with only the lines of the utterances in `kept`, a file of sorted ids.

    `spk2utt` is rebuilt from `utt2spk`.
    """
    ids = {Key.UTTERANCE: kept, Key.RECORDING: kept, Key.SPEAKER: scratch / "kept_speakers"}
    speakers = (speaker for _, speaker in keep(tables["utt2spk"].rows(), read_lines(kept)))
    write_lines(ids[Key.SPEAKER], unique(sort_lines(speakers, scratch)))
    if "segments" in tables:
        ids[Key.RECORDING] = scratch / "kept_recordings"
        recordings = (v.partition(" ")[0] for _, v in keep(tables["segments"].rows(), read_lines(kept)))
        write_lines(ids[Key.RECORDING], unique(sort_lines(recordings, scratch)))
    for name, table in tables.items():
        if name != "spk2utt":
            write_rows(destination / name, keep(table.rows(), read_lines(ids[table.kind.key])))
    write_speakers(destination, scratch)


def write_speakers(destination: Path, scratch: Path) -> None:
    """Write `spk2utt` as the inverse of the destination's `utt2spk`."""
    utt2spk = map(split_row, read_lines(destination / "utt2spk"))
    with (destination / "spk2utt").open("w", encoding="utf-8", newline="\n") as file:
        write_spk2utt(utt2spk, file, scratch)


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    write_lines(path, (joined_row(key, value) for key, value in rows))


def write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)


def unique(sorted_lines: Iterable[str]) -> Iterator[str]:
    """Each line once.

    >>> list(unique(["a", "a", "b"]))
    ['a', 'b']
    """
    return (line for line, _ in groupby(sorted_lines))
