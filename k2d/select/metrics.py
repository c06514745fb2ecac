"""The metrics for the distance between two opinions on a chunk. To add one: a function below, and its line in METRICS.

Each metric has a column in distances.tsv, a rule with its name, a place in the sweep and in the report, and is part of
the validator study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from k2d.config.schema import Select

DECIMALS = 4  # of a distance. Decisions are based on the written values, so that they can be reproduced


@dataclass(frozen=True, slots=True)
class Measuring:
    """Everything that determines a distance: fields of the config's section `select`, with its defaults."""

    ngram: int = Select.ngram
    ngram_count: int = Select.ngram_count
    denominator: Literal["validator", "teacher", "longer"] = Select.denominator
    empty_validator_distance: float = Select.empty_validator_distance
    script: Literal["t2s", "per_char", "none"] = Select.script
    out_of_vocabulary: Literal["letters", "drop"] = Select.out_of_vocabulary
    steps: tuple[str, ...] = ()
    lexicon: str | None = None


class Opinion(NamedTuple):
    """One side's text, ready for comparison. In `sounds`, each phoneme is one character."""

    loops: bool
    tokens: list[str]
    phonemes: str


class OpinionPair(NamedTuple):
    """Both opinions on a chunk, and the metrics that come before this one in METRICS."""

    teacher: Opinion
    auxiliary: Opinion
    measuring: Measuring
    measured: Mapping[str, float]


class Metric(NamedTuple):
    """A metric: its title in tables, and the function that measures it."""

    title: str
    measure: Callable[[OpinionPair], float]


def mer(pair: OpinionPair) -> float:
    """Mixed error rate: edits between the mixed tokens."""
    return error_rate(pair.teacher.tokens, pair.auxiliary.tokens, pair.measuring)


def per(pair: OpinionPair) -> float:
    """Phoneme error rate: edits between the phonemes."""
    return error_rate(pair.teacher.phonemes, pair.auxiliary.phonemes, pair.measuring)


def composite(pair: OpinionPair) -> float:
    """max(h(teacher), min(1 - h(auxiliary), PER)), where h is 1 for a text that loops (K2D, eq. 5).

    A looping label has distance 1. A looping opinion is no evidence, so it drops nothing. Otherwise PER decides.
    """
    return max(float(pair.teacher.loops), min(1.0 - pair.auxiliary.loops, pair.measured["per"]))


METRICS: dict[str, Metric] = {
    "mer": Metric("MER", mer),
    "per": Metric("PER", per),
    "composite": Metric("composite", composite),
}
"""The metrics by name, in the order in which they are measured and written."""


def measure(teacher: Opinion, auxiliary: Opinion, measuring: Measuring) -> dict[str, float]:
    """The distance between two opinions by each metric."""
    measured: dict[str, float] = {}
    pair = OpinionPair(teacher, auxiliary, measuring, measured)
    for name, metric in METRICS.items():
        measured[name] = metric.measure(pair)
    return measured


def error_rate(teacher: Sequence[str], auxiliary: Sequence[str], measuring: Measuring) -> float:
    """The edit distance as a share of one side's length, rounded to the stored decimals.

    >>> error_rate("abcd", "abxyz", Measuring()), error_rate("abcd", "abxyz", Measuring(denominator="teacher"))
    (0.6, 0.75)
    >>> error_rate("", "", Measuring()), error_rate("ab", "", Measuring()), error_rate("", "ab", Measuring())
    (0.0, 1.0, 1.0)
    """
    # Two empty sides agree. If only the auxiliary is empty, the division by its length is undefined, and the paper does
    # not define it: 1.0 drops the chunk, 0.0 keeps it, as the config chooses.
    if teacher == auxiliary:
        return 0.0
    if not auxiliary:
        return measuring.empty_validator_distance
    if not teacher:
        return 1.0
    # The paper writes MER(label, opinion) without saying whose length divides. Its code divides by the validator's.
    lengths = {"validator": len(auxiliary), "teacher": len(teacher), "longer": max(len(teacher), len(auxiliary))}
    return round(Levenshtein.distance(teacher, auxiliary) / lengths[measuring.denominator], DECIMALS)
