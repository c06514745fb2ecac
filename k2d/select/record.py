"""The record of a selection: kept and dropped chunks and hours, by reason and by course. Counts add up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from k2d.select.chunk_row import ChunkRow


@dataclass
class RunningTotal:
    """A number of chunks and their duration. Whole milliseconds make the sums exact."""

    n_chunks: int = 0
    duration_ms: int = 0

    def add(self, duration_s: float) -> None:
        self.n_chunks += 1
        self.duration_ms += round(1000 * duration_s)

    @property
    def hours(self) -> float:
        return self.duration_ms / 3_600_000

    def as_json(self) -> dict[str, Any]:
        return {"chunks": self.n_chunks, "hours": round(self.hours, 6)}


@dataclass
class InAndKept:
    """The amount before selection, and the amount kept."""

    total: RunningTotal = field(default_factory=RunningTotal)
    kept: RunningTotal = field(default_factory=RunningTotal)

    def as_json(self) -> dict[str, Any]:
        return {"in": self.total.as_json(), "kept": self.kept.as_json()}


@dataclass
class SelectionTally:
    """The sums for one method."""

    all: InAndKept = field(default_factory=InAndKept)
    dropped: dict[str, RunningTotal] = field(default_factory=lambda: defaultdict(RunningTotal))
    by_course: dict[str, InAndKept] = field(default_factory=lambda: defaultdict(InAndKept))
    loops: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("teacher", "auxiliary", "both"), 0))

    def add(self, row: ChunkRow, reason: str, course: str | None) -> None:
        """Count a chunk. It was dropped if there is a reason. Its course is counted if it is known."""
        for share in [self.all] if course is None else [self.all, self.by_course[course]]:
            share.total.add(row.duration_s)
            if not reason:
                share.kept.add(row.duration_s)
        if reason:
            self.dropped[reason].add(row.duration_s)
        loops_a, loops_b = row.distances.loops_a, row.distances.loops_b
        self.loops["teacher"] += loops_a
        self.loops["auxiliary"] += loops_b
        self.loops["both"] += loops_a and loops_b

    def n_dropped(self) -> dict[str, int]:
        """The number of dropped chunks by reason."""
        return {reason: amount.n_chunks for reason, amount in sorted(self.dropped.items())}

    def as_json(self) -> dict[str, Any]:
        return {
            **self.all.as_json(),
            "dropped": {reason: amount.as_json() for reason, amount in sorted(self.dropped.items())},
            "by_course": {course: share.as_json() for course, share in sorted(self.by_course.items())},
            "loops": self.loops,
        }
