"""Confidence of scores: the bootstrap over recordings or speakers, and two tests for pairs of systems.

Utterances of one recording share a speaker, a room and a topic. Resampling them one by one would make every interval
too narrow. So whole groups are resampled (Bisani and Ney, ICASSP 2004).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2d.config.schema import Score
from k2d.score.align import Edit
from k2d.score.rates import ErrorRate

RESAMPLES = Score.bootstrap_resamples
LEVEL = Score.confidence
FEW_SEGMENTS = 50  # below this number, the normal approximation of MAPSSWE is unreliable

_DRAWN_AT_ONCE = 1 << 20

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Draws:
    """How groups are resampled."""

    resamples: int = RESAMPLES
    level: float = LEVEL
    seed: int = 1


USUAL = Draws()


@dataclass(frozen=True, slots=True)
class Interval:
    """The percentages between which the error rate lies with probability `level`."""

    level: float
    low: float
    high: float


def bootstrap(groups: Sequence[ErrorRate], draws: Draws = USUAL) -> Interval | None:
    """The percentile interval of the error rate. None if fewer than two groups have reference tokens."""
    if sum(group.n > 0 for group in groups) < 2:
        return None
    # Counts are drawn and summed, not rates averaged: a rate is the quotient of two sums, so long groups weigh more.
    n, errors = _resampled([np.array([g.n for g in groups]), np.array([g.errors for g in groups])], draws)
    rates = 100 * errors[n > 0] / n[n > 0]
    tail = (1 - draws.level) / 2
    low, high = np.quantile(rates, [tail, 1 - tail])
    return Interval(draws.level, float(low), float(high))


def improvement(before: Sequence[ErrorRate], after: Sequence[ErrorRate], draws: Draws = USUAL) -> float | None:
    """The probability that `after` makes fewer errors than `before` on the same groups, resampled jointly.

    Ties count half, so that the probabilities of both directions add up to 1. None with fewer than two groups.
    """
    assert [group.n for group in before] == [group.n for group in after], "not the same groups"
    if sum(group.n > 0 for group in before) < 2:
        return None
    # Both systems get the same draw, so what makes a group hard for both cancels out (Bisani and Ney, 2004).
    (change,) = _resampled([np.array([b.errors - a.errors for a, b in zip(before, after, strict=True)])], draws)
    return float(np.mean(change < 0) + np.mean(change == 0) / 2)


def _resampled(columns: Sequence[Counts], draws: Draws) -> list[Counts]:
    """The sums of each column over the resampled groups, for each resample. All columns use the same sample."""
    random = np.random.default_rng(draws.seed)
    n_groups = len(columns[0])
    # All draws at once would take resamples x groups numbers: 8 GB for a million utterances.
    at_once = max(1, _DRAWN_AT_ONCE // n_groups)
    sums: list[list[Counts]] = [[] for _ in columns]
    for start in range(0, draws.resamples, at_once):
        drawn = random.integers(n_groups, size=(min(at_once, draws.resamples - start), n_groups))
        for column, parts in zip(columns, sums, strict=True):
            parts.append(column[drawn].sum(axis=1))
    return [np.concatenate(parts) for parts in sums]


@dataclass(frozen=True, slots=True)
class MatchedPairs:
    """The matched-pairs sentence-segment word-error test (MAPSSWE, Gillick and Cox 1989; as NIST counts)."""

    n_segments: int
    mean: float
    """Errors more per segment in the second system than in the first."""
    p: float | None
    """Two-sided. None if there are fewer than two segments."""


def matched_pairs(differences: Sequence[int]) -> MatchedPairs:
    """The test on differences of errors per segment."""
    n = len(differences)
    if n < 2:
        return MatchedPairs(n, float(sum(differences)), None)
    mean = sum(differences) / n
    variance = sum((difference - mean) ** 2 for difference in differences) / (n - 1)
    # All segments differ alike: the statistic has no scale, so the answer is certain either way.
    if variance == 0:
        return MatchedPairs(n, mean, 1.0 if mean == 0 else 0.0)
    z = mean / math.sqrt(variance / n)
    # Normal, as NIST's sc_stats has it, and not Student's t: that is why few segments are not to be trusted.
    return MatchedPairs(n, mean, math.erfc(abs(z) / math.sqrt(2)))


def segment_differences(n_ref: int, first: Sequence[Edit], second: Sequence[Edit]) -> list[int]:
    """For every segment of an utterance: the errors of the second system minus those of the first.

    A segment ends at the utterance's ends, and at two or more tokens in a row that both systems have right.
    """
    # Insertions lie between reference tokens, so the gaps have places of their own and never shift the tokens.
    n_places = 2 * n_ref + 1  # gap, token, gap, token, …, gap
    is_wrong, change = [False] * n_places, [0] * n_places
    for found, sign in ((first, -1), (second, 1)):
        for kind, ref_at, _ in found:
            at = 2 * ref_at + (kind != "i")
            is_wrong[at] = True
            change[at] += sign
    return _bounded_sums(is_wrong, change)


def _bounded_sums(is_wrong: Sequence[bool], change: Sequence[int]) -> list[int]:
    # The test takes segments to be independent. Two correct tokens in a row are the border that NIST's sc_stats uses.
    sums: list[int] = []
    n_right, is_open = 0, False
    for at, wrong in enumerate(is_wrong):
        if wrong:
            if not is_open:
                sums.append(0)
            sums[-1] += change[at]
            n_right, is_open = 0, True
        elif at % 2:
            n_right += 1
            is_open = is_open and n_right < 2
    return sums
