"""The facts about a chunk on which selection decides, a line of distances.tsv, and the decision, one of
decisions.tsv.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from k2d.select.metrics import DECIMALS, METRICS


@dataclass(frozen=True, slots=True)
class PairDistances:
    """The distances between two opinions on a chunk. `a` is the teacher, `b` the auxiliary.

    >>> PairDistances(False, True, 3, 2, {"mer": 0.5, "per": 0.3333, "composite": 0.0})["per"]
    0.3333
    """

    loops_a: bool
    loops_b: bool
    n_a: int
    n_b: int
    """The number of mixed tokens on each side."""
    by_metric: Mapping[str, float]

    def __getitem__(self, metric: str) -> float:
        return self.by_metric[metric]


class ChunkRow(NamedTuple):
    """A line of distances.tsv. The id is <corpus>/<split>/<chunk id>."""

    id: str
    recording: str
    duration_s: float
    distances: PairDistances

    @property
    def split(self) -> str:
        return self.id.rpartition("/")[0]

    @property
    def chunk_id(self) -> str:
        return self.id.rpartition("/")[2]


class AlignmentRow(NamedTuple):
    """A line of alignments.tsv: how well a chunk's label fits its audio, by the CTC head of an auxiliary."""

    chunk_id: str
    distance: float
    """0 if the label is as likely as the head's own text, up to 1."""
    logprob: float | None
    """Of the label. None: it does not fit into the chunk, or the chunk could not be read."""
    own_logprob: float | None
    """Of the head's own text."""


class Decision(NamedTuple):
    """A line of decisions.tsv. `reason` is empty for a kept chunk."""

    id: str
    reason: str
    distance: float


_CHUNK_COLUMNS = ("id", "recording", "duration_s", "loops_teacher", "loops_auxiliary", "n_teacher", "n_auxiliary")
DECISION_COLUMNS = ("id", "decision", "reason", "distance")
ALIGNMENT = "alignment"
"""The name of the distance by alignment, which is no metric of two texts, and of its rule."""
ALIGNMENT_COLUMNS = ("id", "distance", "logprob", "own_logprob")


def distance_columns() -> tuple[str, ...]:
    """The columns of distances.tsv: facts about the chunk, then its distance by each metric."""
    return (*_CHUNK_COLUMNS, *METRICS)


def chunk_line(row: ChunkRow) -> str:
    """A row of distances.tsv, without its line end.

    >>> found = PairDistances(False, True, 3, 2, {"mer": 0.5, "per": 1 / 3, "composite": 0.0})
    >>> chunk_line(ChunkRow("lab/train/c1", "r1", 9.5, found)).split("\\t")[3:]
    ['0', '1', '3', '2', '0.5000', '0.3333', '0.0000']
    """
    far = row.distances
    head = f"{row.id}\t{row.recording}\t{row.duration_s:.3f}\t{far.loops_a:d}\t{far.loops_b:d}\t{far.n_a}\t{far.n_b}\t"
    return head + "\t".join(map(distance_text, far.by_metric.values()))


def distance_text(distance: float) -> str:
    return f"{distance:.{DECIMALS}f}"


def parse_chunk_line(line: str, metrics: tuple[str, ...]) -> ChunkRow:
    """
    >>> line = "lab/train/c1\\tr1\\t9.500\\t0\\t1\\t3\\t2\\t0.5000\\t0.2500\\t0.0000\\n"
    >>> chunk_line(parse_chunk_line(line, ("mer", "per", "composite"))) + "\\n" == line
    True
    """
    key, recording, duration_s, loops_a, loops_b, n_a, n_b, *far = line.split("\t")
    by_metric = dict(zip(metrics, map(float, far), strict=True))
    distances = PairDistances(loops_a == "1", loops_b == "1", int(n_a), int(n_b), by_metric)
    return ChunkRow(key, recording, float(duration_s), distances)


def with_alignment(row: ChunkRow, distance: float) -> ChunkRow:
    """The row with the distance by alignment beside the metrics."""
    return row._replace(distances=replace(row.distances, by_metric={**row.distances.by_metric, ALIGNMENT: distance}))


def alignment_line(row: AlignmentRow) -> str:
    """
    >>> alignment_line(AlignmentRow("c1", 1 / 3, -2.5, None)).split("\t")
    ['c1', '0.3333', '-2.5000', '']
    """
    logprobs = ("" if value is None else f"{value:.4f}" for value in (row.logprob, row.own_logprob))
    return "\t".join([row.chunk_id, distance_text(row.distance), *logprobs])


def parse_alignment_line(line: str) -> AlignmentRow:
    """
    >>> parse_alignment_line("c1\t0.3333\t-2.5000\t\n")
    AlignmentRow(chunk_id='c1', distance=0.3333, logprob=-2.5, own_logprob=None)
    """
    chunk_id, distance, *logprobs = line.rstrip("\n").split("\t")
    logprob, own_logprob = (float(value) if value else None for value in logprobs)
    return AlignmentRow(chunk_id, float(distance), logprob, own_logprob)


def parse_decision_line(line: str) -> Decision:
    """
    >>> parse_decision_line("lab/train/c1\tdropped\tloop\t1.0000\n")
    Decision(id='lab/train/c1', reason='loop', distance=1.0)
    """
    key, _, reason, distance = line.split("\t")
    return Decision(key, reason, float(distance))


def decision_line(row: Decision) -> str:
    return f"{row.id}\t{'dropped' if row.reason else 'kept'}\t{row.reason}\t{distance_text(row.distance)}"
