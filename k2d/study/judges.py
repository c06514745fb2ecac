"""The judges. Each gives every chunk a score; the chunks with the highest scores are dropped first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from k2d.select.chunk_row import ALIGNMENT
from k2d.select.metrics import METRICS
from k2d.study.facts import (
    COMPRESSION,
    FAILED_WINDOWS,
    LOGPROB,
    LOOPS,
    LOWEST_WINDOW,
    NO_SPEECH,
    TOKENS_PER_S,
    column_of,
)
from k2d.study.ranking import (
    ERRORS,
    WORDS,
    Array,
    Figures,
    Ranking,
    area_under_curve,
    figures,
    judged,
    least_error,
    ranked,
)

RANDOM, ORACLE = "random", "oracle"
COMBINED, COMBINED_UNSUPERVISED = "combined", "combined_unsupervised"

_NO_WORDS = 1e-9  # in place of 0 words: any error there is worse than every rate


@dataclass(frozen=True)
class Judge:
    """A judge by name, with a line on what it uses."""

    name: str
    uses: str
    scores: Array
    is_oracle: bool = False

    @cached_property
    def ranking(self) -> Ranking:
        return ranked(self.scores)

    def figures_at(self, amounts: Array, kept_s: float, weights: Array | None = None) -> Figures:
        """How good it is if this many seconds are kept."""
        if not self.is_oracle:
            return judged(self.ranking, amounts, kept_s, weights)
        sums = self.ranking.sums(amounts, weights)
        return figures(least_error(amounts, kept_s, weights), sums[-1], area_under_curve(sums))


class Estimate(NamedTuple):
    """Each label's error as a judge estimates it, with a line on what the judge uses."""

    uses: str
    values: Array


def judges_of(
    facts: Mapping[str, Array], auxiliaries: Sequence[str], estimates: Mapping[str, Estimate], amounts: Array
) -> list[Judge]:
    """All judges. `estimates` has those that combine facts, by name."""
    chance = Judge(RANDOM, "nothing (expected value)", np.zeros(len(amounts)))
    true_rates = amounts[:, ERRORS] / np.maximum(amounts[:, WORDS], _NO_WORDS)
    oracle = Judge(ORACLE, "the truth: the lowest possible error", true_rates, is_oracle=True)
    combined = [Judge(name, estimate.uses, estimate.values) for name, estimate in estimates.items()]
    return [chance, *_of_doubt(facts), *_of_distances(facts, auxiliaries), *combined, oracle]


def _of_doubt(facts: Mapping[str, Array]) -> Iterator[Judge]:
    """Judges that need the teacher alone."""
    yield Judge(LOOPS, "the label: does it loop (n-gram rule)", facts[LOOPS])
    yield Judge(COMPRESSION, "the label: compression ratio", facts[COMPRESSION])
    tempo = np.log(facts[TOKENS_PER_S])
    yield Judge(TOKENS_PER_S, "the label: tokens per second, far from the median", np.abs(tempo - np.median(tempo)))
    if LOGPROB in facts:
        yield Judge(LOGPROB, "the teacher: mean log-probability", -facts[LOGPROB])
    if LOWEST_WINDOW in facts:
        yield Judge(LOWEST_WINDOW, "the teacher: log-probability of the worst window", -facts[LOWEST_WINDOW])
    if NO_SPEECH in facts:
        yield Judge(NO_SPEECH, "the teacher: highest probability of a window that nobody speaks", facts[NO_SPEECH])
    if FAILED_WINDOWS in facts:
        yield Judge(FAILED_WINDOWS, "the teacher: share in windows that ended badly", facts[FAILED_WINDOWS])


def _of_distances(facts: Mapping[str, Array], auxiliaries: Sequence[str]) -> Iterator[Judge]:
    """Judges that need second opinions: each alone, then the lowest and the mean distance of all."""
    for auxiliary in auxiliaries:
        for metric in METRICS:
            name = column_of(metric, auxiliary)
            yield Judge(name, f"{METRICS[metric].title} between label and {auxiliary}", facts[name])
        if (name := column_of(ALIGNMENT, auxiliary)) in facts:
            yield Judge(name, f"how well the label fits the audio, by the CTC head of {auxiliary}", facts[name])
    if len(auxiliaries) > 1:
        for metric in METRICS:
            distances = np.array([facts[column_of(metric, auxiliary)] for auxiliary in auxiliaries])
            over = f"{METRICS[metric].title} over {len(auxiliaries)} auxiliaries"
            yield Judge(f"min {metric}", f"the lowest {over}", distances.min(axis=0))
            yield Judge(f"mean {metric}", f"the mean {over}", distances.mean(axis=0))
