"""The rules by which a chunk is kept: a rule is one function and one name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from k2d.select.tsv import Distances

EMPTY_TEACHER = "empty_teacher"
LOOP = "loop"
DISTANCE = "distance"


class Judgement(NamedTuple):
    """A chunk is kept if its distance is at most alpha; otherwise it is dropped for the reason."""

    distance: float
    reason: str


def none(_: Distances) -> Judgement:
    """Everything is kept."""
    return Judgement(0.0, DISTANCE)


def trivial(chunk: Distances) -> Judgement:
    """What does not loop is kept, without a second opinion."""
    return Judgement(float(chunk.loops_a), LOOP)


def mer(chunk: Distances) -> Judgement:
    """Mixed error rate between the two opinions."""
    return Judgement(chunk.mer, DISTANCE)


def per(chunk: Distances) -> Judgement:
    """Phoneme error rate between the two opinions."""
    return Judgement(chunk.per, DISTANCE)


def composite(chunk: Distances) -> Judgement:
    """A looping teacher is dropped, a looping auxiliary drops nothing, otherwise the phonemes decide."""
    return Judgement(chunk.composite, LOOP if chunk.loops_a else DISTANCE)


Rule = Callable[[Distances], Judgement]

RULES: dict[str, Rule] = {"none": none, "trivial": trivial, "mer": mer, "per": per, "composite": composite}


def judge(chunk: Distances, rule: Rule, alpha: float) -> Judgement:
    """What a rule says of a chunk, with an empty reason if it is kept; a label without a token teaches nothing.

    >>> judge(Distances(False, True, 3, 9, 0.9, 0.8), composite, 0.4)
    Judgement(distance=0.0, reason='')
    >>> judge(Distances(True, False, 60, 9, 0.2, 0.2), composite, 0.4)
    Judgement(distance=1.0, reason='loop')
    """
    distance, reason = rule(chunk)
    if chunk.n_a == 0:
        return Judgement(distance, EMPTY_TEACHER)
    return Judgement(distance, "" if distance <= alpha else reason)
