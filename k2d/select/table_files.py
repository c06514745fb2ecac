"""Write and read distances.tsv and decisions.tsv, which have a line for each chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.select.chunk_row import (
    DECISION_COLUMNS,
    ChunkRow,
    Decision,
    decision_line,
    distance_columns,
    parse_chunk_line,
)
from k2d.select.metrics import METRICS

DISTANCES = "distances.tsv"
DECISIONS = "decisions.tsv"


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
    with path.open(encoding="utf-8", newline="\n") as file:
        found, expected = next(file, "").rstrip("\n").replace("\t", " "), " ".join(distance_columns())
        if found != expected:
            message = f"{shown(path)}:1: found the columns {found[:200]!r}, expected {expected!r}"
            raise K2DError(f"{message}; remove the folder and run stage 8 again")
        for number, line in enumerate(file, 2):
            try:
                yield parse_chunk_line(line, metrics)
            except ValueError:
                message = f"{shown(path)}:{number}: found {line[:80]!r}, expected one value for each column"
                raise K2DError(f"{message}; remove the folder and run stage 8 again") from None
