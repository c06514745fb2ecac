"""Combine several data directories into one, or copy one and add prefixes to its ids."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from k2d.core.errors import Fault, FaultReport, K2DError, Treatment, UsageError
from k2d.data.kaldi.datadir import InvalidData, Tables
from k2d.data.kaldi.datadir_writer import new_datadir
from k2d.data.kaldi.ids import id_fault
from k2d.data.kaldi.joins import Row
from k2d.data.kaldi.kinds import KINDS, Key
from k2d.data.kaldi.selection import open_valid, write_rows, write_speakers
from k2d.data.kaldi.tables import Table


@dataclass(frozen=True, slots=True)
class Combined:
    """The number of utterances written, and the files that were left out."""

    n_utterances: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prefixes:
    """The prefixes of each sort of id."""

    utterance: str = ""
    speaker: str = ""
    recording: str = ""  # without segments an utterance is its recording, and the prefix `utterance` is used for both


def combine(destination: Path, sources: list[Path], *, force: bool = False) -> Combined:
    """Write the union of the sources. Equal lines are written once; an id with two values is refused."""
    with tempfile.TemporaryDirectory(prefix="k2d-combine-") as scratch:
        opened = [_open(source, Path(scratch, str(i))) for i, source in enumerate(sources)]
        names = [name for name in KINDS if all(name in tables for tables in opened) and name != "spk2utt"]
        if "segments" not in names and any("segments" in tables for tables in opened):
            lacking = _lacking("segments", sources, opened)
            raise K2DError(f"segments are missing in {lacking}; expected them in all sources or in none")
        report = FaultReport()
        with new_datadir(destination, force=force, sources=sources) as partial:
            for name in names:
                write_rows(partial / name, _merged([tables[name] for tables in opened], report))
            if report.count():
                raise InvalidData(destination, report)
            write_speakers(partial, Path(scratch))
            n_utterances = sum(1 for _ in (partial / "utt2spk").open("rb"))
        notes = [
            f"left out: {name}, which is missing in {_lacking(name, sources, opened)}"
            for name in KINDS
            if name not in names and name != "spk2utt" and any(name in tables for tables in opened)
        ]
    return Combined(n_utterances, (*notes, *unknown_files(sources)))


def copy(source: Path, destination: Path, prefixes: Prefixes, *, force: bool = False) -> Combined:
    """Write a copy whose ids have prefixes. `utt2uniq` then maps utterances to their former ids, as in Kaldi."""
    with tempfile.TemporaryDirectory(prefix="k2d-copy-") as scratch:
        tables = open_valid(source, Path(scratch))
        if "segments" not in tables:
            if prefixes.recording not in {"", prefixes.utterance}:
                raise UsageError(f"{source} has no segments: its recordings take the prefix of the utterances")
            prefixes = Prefixes(prefixes.utterance, prefixes.speaker, prefixes.utterance)
        with new_datadir(destination, force=force, sources=[source]) as partial:
            for name, table in tables.items():
                if name != "spk2utt":
                    write_rows(partial / name, _renamed(table, prefixes))
            if prefixes.utterance and "utt2uniq" not in tables:
                former = ((prefixes.utterance + key, key) for key in tables["utt2spk"].ids())
                write_rows(partial / "utt2uniq", former)
            write_speakers(partial, Path(scratch))
        n_utterances = sum(1 for _ in tables["utt2spk"].ids())
    return Combined(n_utterances, unknown_files([source]))


def unknown_files(sources: list[Path]) -> tuple[str, ...]:
    """A line for each file that is not a known table and is therefore not copied."""
    return tuple(
        f"not copied: {path}, which is not a table of a data directory"
        for source in sources
        for path in sorted(source.iterdir())
        if path.name not in KINDS and not path.name.startswith(".")
    )


def _open(source: Path, scratch: Path) -> Tables:
    scratch.mkdir()
    return open_valid(source, scratch)


def _lacking(name: str, sources: list[Path], opened: list[Tables]) -> str:
    return ", ".join(str(source) for source, tables in zip(sources, opened, strict=True) if name not in tables)


def _merged(tables: list[Table], report: FaultReport) -> Iterator[Row]:
    """The rows of all tables by id. Two values for one id are a fault."""
    for key, group in groupby(heapq.merge(*(table.rows() for table in tables)), key=itemgetter(0)):
        values = sorted({value for _, value in group})
        if len(values) > 1:
            where = ", ".join(str(table.source) for table in tables)
            shown = " and ".join(repr(value[:60]) for value in values)
            message = f"{key!r} has different values: {shown} ({where})"
            remedy = "give the ids of one source a prefix with `python -m k2d data copy`"
            report.add(Fault(Treatment.REJECT, "conflict", message, remedy, tables[0].kind.name, item=key))
        yield key, values[0]


def _renamed(table: Table, prefixes: Prefixes) -> Iterator[Row]:
    """The rows with their new ids. One prefix for all ids does not change their order."""
    before = {
        Key.UTTERANCE: prefixes.utterance,
        Key.RECORDING: prefixes.recording,
        Key.SPEAKER: prefixes.speaker,
    }
    of_value = {"utt2spk": prefixes.speaker, "segments": prefixes.recording}.get(table.kind.name, "")
    for key, value in table.rows():
        new = before[table.kind.key] + key
        for word in (new, (of_value + value).partition(" ")[0]) if of_value else (new,):
            if reason := id_fault(word):
                raise UsageError(f"the prefix makes the id {word!r}, which {reason}")
        yield new, of_value + value
