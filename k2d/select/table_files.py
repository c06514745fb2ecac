"""Write and read alignments.tsv, distances.tsv and decisions.tsv, which have a line for each chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.select.chunk_row import (
    ALIGNMENT_COLUMNS,
    DECISION_COLUMNS,
    AlignmentRow,
    ChunkRow,
    Decision,
    alignment_line,
    decision_line,
    distance_columns,
    parse_alignment_line,
    parse_chunk_line,
    parse_decision_line,
)
from k2d.select.metrics import METRICS

ALIGNMENTS = "alignments.tsv"
DISTANCES = "distances.tsv"
DECISIONS = "decisions.tsv"

R = TypeVar("R")


def write_alignments(path: Path, rows: Iterable[AlignmentRow]) -> int:
    """Write alignments.tsv, and return the number of rows."""
    return _write(path, ALIGNMENT_COLUMNS, map(alignment_line, rows))


def write_distances(path: Path, lines: Iterable[str]) -> int:
    """Write lines of distances.tsv in the given order, and return their number."""
    return _write(path, distance_columns(), lines)


def write_decisions(path: Path, decisions: Iterable[Decision]) -> int:
    """Write decisions.tsv, and return the number of rows."""
    return _write(path, DECISION_COLUMNS, map(decision_line, decisions))


def _write(path: Path, columns: Sequence[str], lines: Iterable[str]) -> int:
    n_rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(columns) + "\n")
        for line in lines:
            file.write(line + "\n")
            n_rows += 1
    return n_rows


def read_distances(path: Path) -> Iterator[ChunkRow]:
    """The rows of a distances.tsv, one at a time. K2DError names a line that is invalid."""
    metrics = tuple(METRICS)
    return _read(path, distance_columns(), lambda line: parse_chunk_line(line, metrics), "stage 8")


def read_alignments(path: Path) -> Iterator[AlignmentRow]:
    """The rows of an alignments.tsv, one at a time. K2DError names a line that is invalid."""
    return _read(path, ALIGNMENT_COLUMNS, parse_alignment_line, "stage 7")


def read_decisions(path: Path) -> Iterator[Decision]:
    """The rows of a decisions.tsv, one at a time. K2DError names a line that is invalid."""
    return _read(path, DECISION_COLUMNS, parse_decision_line, "stage 8")


def _read(path: Path, columns: Sequence[str], parse: Callable[[str], R], stage: str) -> Iterator[R]:
    remedy = f"remove the folder and run {stage} again"
    with path.open(encoding="utf-8", newline="\n") as file:
        found, expected = next(file, "").rstrip("\n").replace("\t", " "), " ".join(columns)
        if found != expected:
            raise K2DError(f"{shown(path)}:1: found the columns {found[:200]!r}, expected {expected!r}; {remedy}")
        for number, line in enumerate(file, 2):
            try:
                yield parse(line)
            except ValueError:
                message = f"{shown(path)}:{number}: found {line[:80]!r}, expected one value for each column"
                raise K2DError(f"{message}; {remedy}") from None
