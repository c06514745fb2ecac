"""What a judge keeps at a given number of hours, and how good that is. Pure functions on arrays.

A judge gives each chunk a score, and the chunks with the lowest scores are kept. So that all judges keep exactly the
same hours, the chunk at the border counts in part. Among chunks of equal score a judge knows no order: any of them may
be kept, and the expected amounts count. So nothing here is drawn at random. A judge that gives all chunks one score is
the random choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SECONDS, WORDS, ERRORS, CHUNKS, BAD = range(5)
"""The columns of amounts: duration, true words, true errors, 1 for each chunk, 1 for each chunk with a bad label."""

_MOST_ROUNDS = 50
_EQUAL = 1e-9  # sums of the same amounts in another order differ by less


class Figures(NamedTuple):
    """How good a judge is at some number of hours. NaN: not defined, such as the recall without a bad label."""

    label_error: float
    """The true errors per true word in the labels that are kept."""
    recall: float
    """The share of the bad labels that is dropped."""
    precision: float
    """The share of bad labels among those that are dropped."""
    area: float
    """The area under the curve: the probability that a bad label has a higher score than a good one."""


@dataclass(frozen=True)
class Ranking:
    """Chunks from the lowest score to the highest. Chunks of equal score form a group."""

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    """The number of chunks up to the end of each group."""

    def sums(self, amounts: Array, weights: Array | None = None) -> Array:
        """The sums of each column after 0, 1, … groups. A chunk counts as often as its weight."""
        rows = amounts[self.order]
        if weights is not None:
            rows = rows * weights[self.order, None]
        return np.vstack([np.zeros(amounts.shape[1]), np.cumsum(rows, axis=0)[self.ends - 1]])


def ranked(scores: Array) -> Ranking:
    """Sort chunks by their scores."""
    assert np.isfinite(scores).all(), "a score is no number"
    order = np.argsort(scores, kind="stable")
    return Ranking(order, np.flatnonzero(np.append(np.diff(scores[order]) > 0, True)) + 1)


def kept(sums: Array, kept_s: float) -> Array:
    """The expected amounts that are kept, if this many seconds are: within a group, a share of each amount."""
    return np.array([np.interp(kept_s, sums[:, SECONDS], column) for column in sums.T])


def judged(ranking: Ranking, amounts: Array, kept_s: float, weights: Array | None = None) -> Figures:
    """The figures of a judge that keeps this many seconds."""
    sums = ranking.sums(amounts, weights)
    return figures(kept(sums, kept_s), sums[-1], area_under_curve(sums))


def figures(found: Array, total: Array, area: float) -> Figures:
    """The figures of the amounts that are kept."""
    dropped = total - found
    return Figures(
        _ratio(found[ERRORS], found[WORDS]),
        _ratio(dropped[BAD], total[BAD]),
        _ratio(dropped[BAD], dropped[CHUNKS]),
        area,
    )


def area_under_curve(sums: Array) -> float:
    """The area under the curve of recall against false alarms. A tie counts half."""
    bad, good = np.diff(sums[:, BAD]), np.diff(sums[:, CHUNKS] - sums[:, BAD])
    n_better_good = np.cumsum(good) - good / 2
    return _ratio(float(bad @ n_better_good), float(bad.sum() * good.sum()))


def least_error(amounts: Array, kept_s: float, weights: Array | None = None) -> Array:
    """The amounts that are kept if the true errors are known and the label error is made as low as possible.

    It is a quotient of two sums, so the best choice is found in rounds (Dinkelbach, 1967): for a rate, the lowest value
    of errors - rate * words; the choice that gives it has a lower rate, with which the next round starts.
    """
    seconds, words, errors = amounts[:, SECONDS], amounts[:, WORDS], amounts[:, ERRORS]
    total = ranked(np.zeros(len(amounts))).sums(amounts, weights)[-1]
    rate = _ratio(total[ERRORS], total[WORDS])
    found: Array = total * (kept_s / total[SECONDS])
    for _ in range(_MOST_ROUNDS if np.isfinite(rate) else 0):
        found = kept(ranked((errors - rate * words) / seconds).sums(amounts, weights), kept_s)
        lower = _ratio(found[ERRORS], found[WORDS])
        if not lower < rate - _EQUAL:
            break
        rate = lower
    return found


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > _EQUAL else float("nan")
