"""The content of a score.json, read back. The report and `compare` both read it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k2d.score.measures import MEASURES
from k2d.score.rates import ErrorRate
from k2d.score.timing import RealTimeFactor

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredInterval:
    """Confidence of a MER, in percent; `over` names what was resampled."""

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
    """Empty for files that were scored outside of an experiment."""
    signature: str
    n_utterances: int
    rates: Mapping[str, ErrorRate]
    """By the names in MEASURES."""
    parts: Mapping[str, ErrorRate]
    interval: StoredInterval | None
    repetitions: int
    empty: int
    too_long: int
    missing: tuple[str, ...]
    rtf: RealTimeFactor | None
    """Of the hypotheses, where a timing lay beside them."""

    @property
    def mer(self) -> ErrorRate:
        return self.rates["mer"]


def score_of(raw: Raw) -> Score:
    """A stored score.json as a row; ValueError, KeyError or TypeError if it is none."""
    return Score(
        model=_text(raw, "model"),
        set=_text(raw, "set"),
        role=str(raw.get("role") or ""),
        signature=_text(raw, "signature"),
        n_utterances=int(raw["n_utterances"]),
        rates={name: _rate(raw[name]) for name in MEASURES},
        parts={str(name): _rate(rate) for name, rate in raw["parts"].items()},
        interval=_interval(raw["interval"]),
        repetitions=int(raw["repetitions"]),
        empty=int(raw["empty"]),
        too_long=int(raw["too_long"]),
        missing=tuple(map(str, raw["missing"])),
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
    """Without reference tokens there is no interval, and its borders are null."""
    if raw is None or raw["low"] is None or raw["high"] is None:
        return None
    return StoredInterval(float(raw["level"]), float(raw["low"]), float(raw["high"]), str(raw["over"]))
