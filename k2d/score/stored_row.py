"""The content of a score.json as a row. The report and `compare` both load it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k2d.score.invention import Invention, stored_invention
from k2d.score.measures import MEASURES
from k2d.score.rates import ErrorRate
from k2d.score.term_recall import TermRecall, stored_recall
from k2d.score.timing import RealTimeFactor

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredInterval:
    """The confidence interval of a MER, in percent. `over` names the kind of groups that were resampled."""

    level: float
    low: float
    high: float
    over: str


@dataclass(frozen=True, slots=True)
class Score:
    """One system on one set: the content of a score.json."""

    model: str
    set: str
    role: str
    """Empty for files that were scored outside an experiment."""
    signature: str
    n_utterances: int
    rates: Mapping[str, ErrorRate]
    """The rates by the names in MEASURES."""
    parts: Mapping[str, ErrorRate]
    interval: StoredInterval | None
    terms: TermRecall | None
    """None in scores that earlier versions made."""
    repetitions: int
    empty: int
    too_long: int
    missing: tuple[str, ...]
    invention: Invention | None
    """What was invented in utterances without speech. None if there are none."""
    rtf: RealTimeFactor | None
    """The speed of decoding, if a timing was beside the hypotheses."""

    @property
    def mer(self) -> ErrorRate:
        return self.rates["mer"]


def score_of(raw: Raw) -> Score:
    """A stored score.json as a row. ValueError, KeyError or TypeError if it is invalid."""
    return Score(
        model=_text(raw, "model"),
        set=_text(raw, "set"),
        role=str(raw.get("role") or ""),
        signature=_text(raw, "signature"),
        n_utterances=int(raw["n_utterances"]),
        rates={name: _rate(raw[name]) for name in MEASURES},
        parts={str(name): _rate(rate) for name, rate in raw["parts"].items()},
        interval=_interval(raw["interval"]),
        terms=stored_recall(raw.get("terms")),
        repetitions=int(raw["repetitions"]),
        empty=int(raw["empty"]),
        too_long=int(raw["too_long"]),
        missing=tuple(map(str, raw["missing"])),
        invention=stored_invention(raw.get("invented")),
        rtf=RealTimeFactor(**raw["rtf"]) if raw.get("rtf") else None,
    )


def _text(raw: Raw, name: str) -> str:
    if not isinstance(raw[name], str):
        raise ValueError(f"{name} must be a text, found {raw[name]!r}")
    return str(raw[name])


def _rate(raw: Raw) -> ErrorRate:
    n, s, d, i = (int(raw[name]) for name in ("n", "s", "d", "i"))
    if min(n, s, d, i) < 0 or s + d > n:
        raise ValueError(f"counts that cannot be: n {n}, s {s}, d {d}, i {i}")
    return ErrorRate(n, s, d, i)


def _interval(raw: Raw | None) -> StoredInterval | None:
    """The interval. Without reference tokens there is none, and its limits are null."""
    if raw is None or raw["low"] is None or raw["high"] is None:
        return None
    return StoredInterval(float(raw["level"]), float(raw["low"]), float(raw["high"]), str(raw["over"]))
