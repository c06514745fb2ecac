"""Whether an estimate of the label error can be believed: estimated against true error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2d.study.ranking import ERRORS, SECONDS, WORDS, Array

EDGES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
LIMITS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True)
class Group:
    """Chunks with similar estimates, or with estimates up to a limit."""

    low: float
    high: float
    n_chunks: int
    seconds: float
    estimated: float
    """The mean estimate, weighted by the true words. NaN without chunks."""
    true: float
    """The mean true error, weighted likewise. A label has at most as many errors as its reference has words."""
    label_error: float
    """All errors per true word, which insertions may raise above 1."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Estimates in groups, and what limits on them would keep."""

    groups: tuple[Group, ...]
    limits: tuple[Group, ...]
    mean_gap: float
    """The mean difference between estimated and true error over the groups, by their true words."""


def reliability(estimates: Array, shares: Array, words: Array, amounts: Array) -> Reliability:
    """Group chunks by their estimates. `shares` are the true errors of `words` words each."""

    def group(low: float, high: float, is_member: NDArray[np.bool_]) -> Group:
        n = float(words[is_member].sum())
        estimated, true = (_mean(values[is_member], words[is_member]) for values in (estimates, shares))
        seconds, n_words, n_errors = (amounts[is_member, column].sum() for column in (SECONDS, WORDS, ERRORS))
        error = float(n_errors / n_words) if n_words else float("nan")
        return (
            Group(low, high, int(is_member.sum()), float(seconds), estimated, true, error) if n else _empty(low, high)
        )

    places = np.digitize(estimates, EDGES[1:-1], right=True)  # an edge belongs to the group below it
    groups = [group(EDGES[at], EDGES[at + 1], places == at) for at in range(len(EDGES) - 1)]
    limits = [group(0.0, limit, estimates <= limit) for limit in LIMITS]
    words_in = [float(words[places == at].sum()) for at in range(len(groups))]
    return Reliability(tuple(groups), tuple(limits), _gap(groups, words_in))


def _empty(low: float, high: float) -> Group:
    nan = float("nan")
    return Group(low, high, 0, 0.0, nan, nan, nan)


def _mean(values: Array, weights: Array) -> float:
    return float(np.average(values, weights=weights)) if len(values) else float("nan")


def _gap(groups: Sequence[Group], words_in: Sequence[float]) -> float:
    gaps = [(abs(g.estimated - g.true), n) for g, n in zip(groups, words_in, strict=True) if g.n_chunks]
    return sum(gap * n for gap, n in gaps) / sum(n for _, n in gaps)
