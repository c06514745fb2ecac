"""What is known of a chunk when it is judged, and the judgement. Each row is a line of a tab-separated file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from k2d.core.errors import K2DError
from k2d.core.layout import shown

DISTANCES = "distances.tsv"
DECISIONS = "decisions.tsv"

DECIMALS = 4  # of a distance. Decisions are made on what is written, so that anyone can make them again


@dataclass(frozen=True, slots=True)
class Distances:
    """How far two opinions on a chunk lie apart; `a` is the teacher, `b` the auxiliary."""

    loops_a: bool
    loops_b: bool
    n_a: int
    n_b: int
    """Mixed tokens of each side."""
    mer: float
    per: float

    @property
    def composite(self) -> float:
        """A looping teacher is far away, a looping auxiliary is no witness, otherwise the phonemes decide."""
        return max(float(self.loops_a), min(1.0 - self.loops_b, self.per))


class ChunkRow(NamedTuple):
    """A line of distances.tsv. The id is <corpus>/<split>/<chunk id>."""

    id: str
    recording: str
    duration_s: float
    distances: Distances

    @property
    def split(self) -> str:
        return self.id.rpartition("/")[0]

    @property
    def chunk_id(self) -> str:
        return self.id.rpartition("/")[2]


class Decision(NamedTuple):
    """A line of decisions.tsv; `reason` is empty for a chunk that is kept."""

    id: str
    reason: str
    distance: float


_DISTANCE_COLUMNS = "id recording duration_s loops_teacher loops_auxiliary n_teacher n_auxiliary mer per composite"
_DECISION_COLUMNS = "id decision reason distance"

_numbers = attrgetter("loops_a", "loops_b", "n_a", "n_b", "mer", "per", "composite")


def chunk_line(row: ChunkRow) -> str:
    """A row of distances.tsv, without its line end.

    >>> chunk_line(ChunkRow("lab/train/c1", "r1", 9.5, Distances(False, True, 3, 2, 0.5, 1 / 3))).split("\\t")[3:]
    ['0', '1', '3', '2', '0.5000', '0.3333', '0.0000']
    """
    loops_a, loops_b, n_a, n_b, *far = _numbers(row.distances)
    head = f"{row.id}\t{row.recording}\t{row.duration_s:.3f}\t{loops_a:d}\t{loops_b:d}\t{n_a}\t{n_b}\t"
    return head + "\t".join(map(distance_text, far))


def distance_text(distance: float) -> str:
    return f"{distance:.{DECIMALS}f}"


def write_distances(path: Path, lines: Iterable[str]) -> int:
    """Write rows that are lines already, in their order, and return how many there were."""
    return _write(path, _DISTANCE_COLUMNS, lines)


def write_decisions(path: Path, decisions: Iterable[Decision]) -> int:
    """Write decisions.tsv, and return how many rows there were."""
    return _write(path, _DECISION_COLUMNS, map(_decision_line, decisions))


def _decision_line(row: Decision) -> str:
    return f"{row.id}\t{'dropped' if row.reason else 'kept'}\t{row.reason}\t{distance_text(row.distance)}"


def _write(path: Path, columns: str, lines: Iterable[str]) -> int:
    n_rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(columns.replace(" ", "\t") + "\n")
        for line in lines:
            file.write(line + "\n")
            n_rows += 1
    return n_rows


def read_distances(path: Path) -> Iterator[ChunkRow]:
    """The rows of a distances.tsv, one at a time; K2DError names a line that is not one."""
    with path.open(encoding="utf-8", newline="\n") as file:
        header = next(file, "").rstrip("\n").replace("\t", " ")
        if header != _DISTANCE_COLUMNS:
            raise K2DError(f"{shown(path)}:1: found the columns {header[:200]!r}, expected {_DISTANCE_COLUMNS!r}")
        for number, line in enumerate(file, 2):
            try:
                yield _chunk_row(line)
            except ValueError:
                message = f"{shown(path)}:{number}: found {line[:80]!r}, expected one value for each column"
                raise K2DError(f"{message}; remove the folder and run stage 8 again") from None


def _chunk_row(line: str) -> ChunkRow:
    """
    >>> row = ChunkRow("lab/train/c1", "r1", 9.5, Distances(False, True, 3, 2, 0.5, 0.25))
    >>> _chunk_row(chunk_line(row)) == row
    True
    """
    key, recording, duration_s, loops_a, loops_b, n_a, n_b, mer, per, _ = line.split("\t")
    distances = Distances(loops_a == "1", loops_b == "1", int(n_a), int(n_b), float(mer), float(per))
    return ChunkRow(key, recording, float(duration_s), distances)
