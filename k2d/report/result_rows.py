"""The stored results of an experiment as rows: what stages 8 and 12 wrote, read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k2d.score.rates import ErrorRate
from k2d.score.timing import Timing, timing_of

MEASURES = ("mer", "zh_split", "en_split", "zh_joint", "en_joint", "pier", "switch")

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interval:
    """Confidence of a MER, in percent; `over` tells what was resampled."""

    level: float
    low: float
    high: float
    over: str


@dataclass(frozen=True, slots=True)
class Score:
    """One system on one set: a score.json."""

    model: str
    set: str
    role: str
    signature: str
    n_utterances: int
    rates: Mapping[str, ErrorRate]
    """By the names in MEASURES."""
    parts: Mapping[str, ErrorRate]
    interval: Interval | None
    repetitions: int
    empty: int
    too_long: int
    missing: tuple[str, ...]

    @property
    def mer(self) -> ErrorRate:
        return self.rates["mer"]


@dataclass(frozen=True, slots=True)
class Amount:
    chunks: int
    hours: float


@dataclass(frozen=True, slots=True)
class Selection:
    """What one method kept: a record.json."""

    method: str
    rule: str
    alpha: float | None
    auxiliary: str | None
    also: tuple[str, ...]
    settings: Raw
    signature: str
    n_in: Amount
    kept: Amount
    dropped: Mapping[str, Amount]
    by_course: Mapping[str, tuple[Amount, Amount]]
    """In and kept."""
    loops: Mapping[str, int]

    @property
    def kept_share(self) -> float | None:
        """Share of the hours."""
        return self.kept.hours / self.n_in.hours if self.n_in.hours else None


@dataclass(frozen=True, slots=True)
class Recall:
    """Share of the bad labels that one metric drops."""

    at_most: float | None
    """Over the thresholds that keep over half of the data."""
    mean: float | None


@dataclass(frozen=True, slots=True)
class ValidatorStudy:
    """How well one auxiliary finds bad labels: a score/validator/<auxiliary>.json."""

    auxiliary: str
    bad_label_mer: float
    n_chunks: int
    n_bad: int
    by_metric: Mapping[str, Recall]
    cost: Timing | None


def score_of(raw: Raw) -> Score:
    """A stored score.json as a row; ValueError, KeyError or TypeError if it is none."""
    return Score(
        model=str(raw["model"]),
        set=str(raw["set"]),
        role=str(raw["role"]),
        signature=str(raw["signature"]),
        n_utterances=int(raw["n_utterances"]),
        rates={name: _rate(raw[name]) for name in MEASURES},
        parts={str(name): _rate(rate) for name, rate in raw["parts"].items()},
        interval=_interval(raw["interval"]),
        repetitions=int(raw["repetitions"]),
        empty=int(raw["empty"]),
        too_long=int(raw["too_long"]),
        missing=tuple(map(str, raw["missing"])),
    )


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
        n_in=_amount(raw["in"]),
        kept=_amount(raw["kept"]),
        dropped={str(reason): _amount(amount) for reason, amount in raw["dropped"].items()},
        by_course={str(c): (_amount(each["in"]), _amount(each["kept"])) for c, each in raw["by_course"].items()},
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


def _rate(raw: Raw) -> ErrorRate:
    n, s, d, i = (int(raw[name]) for name in ("n", "s", "d", "i"))
    if min(n, s, d, i) < 0 or s + d > n:
        raise ValueError(f"counts that cannot be: n {n}, s {s}, d {d}, i {i}")
    return ErrorRate(n, s, d, i)


def _interval(raw: Raw | None) -> Interval | None:
    """Without reference tokens there is no interval, and its borders are null."""
    if raw is None or raw["low"] is None or raw["high"] is None:
        return None
    return Interval(float(raw["level"]), float(raw["low"]), float(raw["high"]), str(raw["over"]))


def _amount(raw: Raw) -> Amount:
    return Amount(int(raw["chunks"]), float(raw["hours"]))


def _share(raw: float | None) -> float | None:
    return None if raw is None else float(raw)
