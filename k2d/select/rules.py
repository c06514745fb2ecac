"""The rules that decide whether a chunk is kept. A rule is one function and its line in RULES; each metric is a rule,
too.

The name of a rule is also listed in the config's schema (`Method.rule` in k2d/config/schema.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from k2d.select.chunk_row import ALIGNMENT, PairDistances
from k2d.select.metrics import METRICS

EMPTY_TEACHER = "empty_teacher"
LOOP = "loop"
DISTANCE = "distance"
ESTIMATED_ERROR = "estimated_error"
"""The rule that keeps labels with a small estimated error. It looks at all chunks together, so it has no function."""


class Judgement(NamedTuple):
    """A chunk is kept if its distance is at most alpha. Otherwise it is dropped for the reason."""

    distance: float
    reason: str


def none(_: PairDistances) -> Judgement:
    """Keep every chunk."""
    return Judgement(0.0, DISTANCE)


def trivial(chunk: PairDistances) -> Judgement:
    """Keep every label that does not loop, without a second opinion."""
    return Judgement(float(chunk.loops_a), LOOP)


def composite(chunk: PairDistances) -> Judgement:
    """The metric `composite`, with the reason for a large distance: the label loops, or it differs."""
    return Judgement(chunk["composite"], LOOP if chunk.loops_a else DISTANCE)


Rule = Callable[[PairDistances], Judgement]


def by_metric(name: str) -> Rule:
    """The rule that keeps chunks with a small distance by a metric."""
    return lambda chunk: Judgement(chunk[name], DISTANCE)


RULES: dict[str, Rule] = {
    "none": none,
    "trivial": trivial,
    **{name: by_metric(name) for name in METRICS},
    "composite": composite,
    ALIGNMENT: by_metric(ALIGNMENT),
}


def judge(chunk: PairDistances, rule: Rule, alpha: float) -> Judgement:
    """The decision of a rule on a chunk, with an empty reason if it is kept. A label without tokens is never kept.

    >>> judge(PairDistances(False, True, 3, 9, {"composite": 0.0}), composite, 0.4)
    Judgement(distance=0.0, reason='')
    >>> judge(PairDistances(True, False, 60, 9, {"composite": 1.0}), composite, 0.4)
    Judgement(distance=1.0, reason='loop')
    """
    distance, reason = rule(chunk)
    if chunk.n_a == 0:
        return Judgement(distance, EMPTY_TEACHER)
    return Judgement(distance, "" if distance <= alpha else reason)
