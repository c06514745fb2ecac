"""Which results can be compared with each other: signatures and speed-ups."""

from __future__ import annotations

import math
from dataclasses import dataclass

from k2d.core.layout import TEACHER
from k2d.report.stored import Experiment
from k2d.score.rates import ErrorRate, total
from k2d.score.stored_row import Score
from k2d.score.timing import speed_up


def reference_signature(experiment: Experiment, set_name: str) -> str:
    """The signature that a set's scores must have to be compared: the teacher's, or without one the first system's."""
    for system in (TEACHER, *experiment.systems):
        if (score := experiment.scores.get((system, set_name))) is not None:
            return score.signature
    return ""


def is_comparable(experiment: Experiment, score: Score) -> bool:
    return score.signature == reference_signature(experiment, score.set)


def best_of(experiment: Experiment, set_name: str, measure: str = "mer") -> float | None:
    """The lowest rate on a set among the scores that can be compared."""
    found = (experiment.scores.get((system, set_name)) for system in experiment.systems)
    percents = [s.rates[measure].percent for s in found if s is not None and is_comparable(experiment, s)]
    return min((percent for percent in percents if percent is not None), default=None)


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """The speed relative to the teacher's: the geometric mean over the sets timed for both."""

    factor: float | None
    n_sets: int
    n_other_conditions: int
    """Sets timed for both, but with another batch size, thread count, precision or device."""


def teacher_speed_up(experiment: Experiment, system: str, *, batched: bool = False) -> SpeedUp:
    factors, n_other = [], 0
    for set_name in experiment.roles:
        mine, teachers = (experiment.speed(name, set_name, batched=batched) for name in (system, TEACHER))
        if mine is None or teachers is None:
            continue
        factor = speed_up(teachers, mine)
        if factor is None:
            n_other += 1
        else:
            factors.append(factor)
    mean = math.exp(sum(map(math.log, factors)) / len(factors)) if factors else None
    return SpeedUp(mean, len(factors), n_other)


def pooled(experiment: Experiment, system: str, role: str) -> ErrorRate | None:
    """The summed counts of all sets of a role. None unless the system has a comparable score on each set."""
    scores = [experiment.scores.get((system, name)) for name in experiment.sets(role)]
    if not scores or not all(score is not None and is_comparable(experiment, score) for score in scores):
        return None
    return total(score.mer for score in scores if score is not None)
