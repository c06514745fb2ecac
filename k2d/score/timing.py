"""The speed of a system: the real-time factor of its runs, and its speed relative to another system."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

TIMING, SPEED = "timing.json", "speed.json"
SINGLE, BATCHED = "single", "batched"


@dataclass(frozen=True, slots=True)
class Timing:
    """The time that decoding a set took, run by run, with its conditions: the content of a timing.json."""

    audio_s: float
    runs_s: tuple[float, ...]
    batch_size: int
    threads: int
    dtype: str
    device: str

    def __post_init__(self) -> None:
        times = (self.audio_s, *self.runs_s)
        if not self.runs_s or not all(math.isfinite(time) and time > 0 for time in times):
            raise ValueError("audio_s and every one of runs_s must be above 0")

    @property
    def conditions(self) -> tuple[int, int, str, str]:
        return self.batch_size, self.threads, self.dtype, self.device


@dataclass(frozen=True, slots=True)
class RealTimeFactor:
    """Seconds of work per second of audio over several runs, with their conditions."""

    mean: float
    min: float
    max: float
    runs: int
    batch_size: int
    threads: int
    dtype: str
    device: str


Speeds = dict[str, dict[str, RealTimeFactor]]
"""By way of decoding (one recording at a time, batched) and model. All are timed in turn."""


def timing_of(raw: Mapping[str, Any]) -> Timing:
    """The content of a timing.json. ValueError, KeyError or TypeError if it is invalid."""
    return Timing(**{**raw, "audio_s": float(raw["audio_s"]), "runs_s": tuple(map(float, raw["runs_s"]))})


def speeds_of(raw: Mapping[str, Mapping[str, Any]]) -> Speeds:
    """The content of a speed.json."""
    return {way: {m: real_time_factor(timing_of(t)) for m, t in raw[way].items()} for way in (SINGLE, BATCHED)}


def real_time_factor(timing: Timing) -> RealTimeFactor:
    """
    >>> factor = real_time_factor(Timing(100.0, (10.0, 30.0), 16, 8, "fp32", "cpu"))
    >>> factor.mean, factor.min, factor.max, factor.runs
    (0.2, 0.1, 0.3, 2)
    """
    factors = [run_s / timing.audio_s for run_s in timing.runs_s]
    return RealTimeFactor(sum(factors) / len(factors), min(factors), max(factors), len(factors), *timing.conditions)


def speed_up(baseline: RealTimeFactor, other: RealTimeFactor) -> float | None:
    """The speed of the other relative to the baseline. None if they ran under different conditions."""
    mine, theirs = (asdict(f) for f in (baseline, other))
    same = all(mine[name] == theirs[name] for name in ("batch_size", "threads", "dtype", "device"))
    return baseline.mean / other.mean if same else None


def summed(timings: Iterable[Timing]) -> Timing | None:
    """The cost of several sets together, by the mean of their runs. None if there is none, or if conditions differ."""
    found = list(timings)
    if len({timing.conditions for timing in found}) != 1:
        return None
    seconds = sum(sum(timing.runs_s) / len(timing.runs_s) for timing in found)
    return Timing(sum(timing.audio_s for timing in found), (seconds,), *found[0].conditions)
