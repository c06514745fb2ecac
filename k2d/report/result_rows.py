"""The stored results of an experiment as rows, read from the files of stages 8 and 12."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k2d.score.timing import Timing, timing_of

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChunksAndHours:
    chunks: int
    hours: float


@dataclass(frozen=True, slots=True)
class Selection:
    """What one method kept: the content of a record.json."""

    method: str
    rule: str
    alpha: float | None
    auxiliary: str | None
    also: tuple[str, ...]
    settings: Raw
    signature: str
    n_in: ChunksAndHours
    kept: ChunksAndHours
    dropped: Mapping[str, ChunksAndHours]
    by_course: Mapping[str, tuple[ChunksAndHours, ChunksAndHours]]
    """The amount before selection and the amount kept, by course."""
    loops: Mapping[str, int]

    @property
    def kept_share(self) -> float | None:
        """Share of the hours."""
        return self.kept.hours / self.n_in.hours if self.n_in.hours else None


@dataclass(frozen=True, slots=True)
class Recall:
    """The share of the bad labels that one metric drops."""

    at_most: float | None
    """The largest recall over the thresholds that keep over half of the data."""
    mean: float | None


@dataclass(frozen=True, slots=True)
class ValidatorStudy:
    """How well one auxiliary finds bad labels: the content of a score/validator/<auxiliary>.json."""

    auxiliary: str
    bad_label_mer: float
    n_chunks: int
    n_bad: int
    by_metric: Mapping[str, Recall]
    cost: Timing | None


def selection_of(raw: Raw) -> Selection:
    """A stored record.json as a row."""
    return Selection(
        method=str(raw["method"]),
        rule=str(raw["rule"]),
        alpha=None if raw["alpha"] is None else float(raw["alpha"]),
        auxiliary=None if raw["auxiliary"] is None else str(raw["auxiliary"]),
        also=tuple(map(str, raw["also"])),
        settings=dict(raw["settings"]),
        signature=str(raw["signature"]),
        n_in=_chunks_and_hours(raw["in"]),
        kept=_chunks_and_hours(raw["kept"]),
        dropped={str(reason): _chunks_and_hours(stored) for reason, stored in raw["dropped"].items()},
        by_course={
            str(c): (_chunks_and_hours(each["in"]), _chunks_and_hours(each["kept"]))
            for c, each in raw["by_course"].items()
        },
        loops={str(side): int(n) for side, n in raw["loops"].items()},
    )


def study_of(raw: Raw) -> ValidatorStudy:
    """A stored validator study as a row."""
    return ValidatorStudy(
        auxiliary=str(raw["auxiliary"]),
        bad_label_mer=float(raw["bad_label_mer"]),
        n_chunks=int(raw["n_chunks"]),
        n_bad=int(raw["n_bad"]),
        by_metric={
            str(metric): Recall(_share(each["max_recall"]), _share(each["mean_recall"]))
            for metric, each in raw["by_metric"].items()
        },
        cost=None if raw["cost"] is None else timing_of(raw["cost"]),
    )


def _chunks_and_hours(raw: Raw) -> ChunksAndHours:
    return ChunksAndHours(int(raw["chunks"]), float(raw["hours"]))


def _share(raw: float | None) -> float | None:
    return None if raw is None else float(raw)
