"""Compare judges at equal hours, with intervals over recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2d.score.confidence import Draws
from k2d.study.judges import Judge
from k2d.study.ranking import SECONDS, Array, Figures

SHARES = tuple(step / 20 for step in range(1, 20))
"""The shares of the hours at which the label error is drawn."""


@dataclass(frozen=True, slots=True)
class Row:
    """A judge with its figures at the hours of the reference. Intervals are None with fewer than two recordings."""

    judge: Judge
    figures: Figures
    low: Figures | None
    high: Figures | None
    ahead: Figures
    """Its figures minus those of the reference."""
    ahead_low: Figures | None
    ahead_high: Figures | None
    curve: tuple[float, ...]
    """The label error at each of SHARES."""


def compared(
    judges: Sequence[Judge],
    reference: str,
    is_kept: NDArray[np.bool_],
    amounts: Array,
    recordings: Sequence[str],
    draws: Draws,
) -> list[Row]:
    """Each judge at the hours of the chunks that the reference keeps.

    For the intervals, whole recordings are drawn again, and the hours that the reference keeps are those in the draw.
    All judges get the same draws, so the intervals of differences are narrower than those of the figures.
    """
    at_reference = [judge.name for judge in judges].index(reference)
    found = _figures(judges, is_kept, amounts, None)
    drawn = _drawn(judges, is_kept, amounts, recordings, draws)
    rows = []
    for at, judge in enumerate(judges):
        low, high = _interval(None if drawn is None else drawn[:, at], draws)
        ahead_low, ahead_high = _interval(None if drawn is None else drawn[:, at] - drawn[:, at_reference], draws)
        ahead = Figures(*(found[at] - found[at_reference]))
        curve = tuple(curve_of(judge, amounts))
        rows.append(Row(judge, Figures(*found[at]), low, high, ahead, ahead_low, ahead_high, curve))
    return rows


def curve_of(judge: Judge, amounts: Array) -> list[float]:
    """The label error of a judge at each of SHARES."""
    total_s = float(amounts[:, SECONDS].sum())
    return [judge.figures_at(amounts, share * total_s).label_error for share in SHARES]


def _figures(judges: Sequence[Judge], is_kept: NDArray[np.bool_], amounts: Array, weights: Array | None) -> Array:
    """The figures of all judges, a row each."""
    seconds = amounts[:, SECONDS] if weights is None else amounts[:, SECONDS] * weights
    kept_s = float(seconds[is_kept].sum())
    return np.array([judge.figures_at(amounts, kept_s, weights) for judge in judges])


def _drawn(
    judges: Sequence[Judge], is_kept: NDArray[np.bool_], amounts: Array, recordings: Sequence[str], draws: Draws
) -> Array | None:
    """The figures in each draw of recordings. None with fewer than two recordings."""
    names, group = np.unique(np.array(recordings), return_inverse=True)
    if len(names) < 2:
        return None
    random = np.random.default_rng(draws.seed)
    found = []
    for _ in range(draws.resamples):
        times = np.bincount(random.integers(len(names), size=len(names)), minlength=len(names))
        found.append(_figures(judges, is_kept, amounts, times[group].astype(np.float64)))
    return np.array(found)


def _interval(drawn: Array | None, draws: Draws) -> tuple[Figures | None, Figures | None]:
    """The percentile interval of each figure. Draws in which a figure is not defined are left out."""
    if drawn is None:
        return None, None
    tail = (1 - draws.level) / 2
    ends = [_quantiles(column[np.isfinite(column)], tail) for column in drawn.T]
    return Figures(*(low for low, _ in ends)), Figures(*(high for _, high in ends))


def _quantiles(values: Array, tail: float) -> tuple[float, float]:
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
