"""A small logistic model: an expected share from some figures, fitted by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from k2d.study.ranking import Array

RIDGE = 1.0
"""The penalty on squared coefficients of standardised inputs, against one for each chunk's log-likelihood."""

_MOST_STEPS = 100
_CONVERGED = 1e-9


@dataclass(frozen=True)
class Logistic:
    """A fitted model. Inputs are standardised by `mean` and `scale`."""

    mean: Array
    scale: Array
    coefficients: Array
    intercept: float

    def expected(self, inputs: Array) -> Array:
        """The expected share for each row."""
        return share_at(self.intercept + (inputs - self.mean) / self.scale @ self.coefficients)


def share_at(log_odds: Array) -> Array:
    """
    >>> share_at(np.array([0.0, np.log(3)])).round(4).tolist()
    [0.5, 0.75]
    """
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def fitted(inputs: Array, shares: Array, weights: Array, ridge: float = RIDGE) -> Logistic:
    """The model for shares from 0 to 1. The mean weight is taken as 1.

    The intercept is not penalised, so that with equal inputs the mean share is expected.
    """
    mean, scale = inputs.mean(axis=0), inputs.std(axis=0)
    scale[scale == 0] = 1.0
    design = np.column_stack([np.ones(len(inputs)), (inputs - mean) / scale])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    weights = weights / weights.mean()

    def loss(beta: Array) -> float:
        log_odds = design @ beta
        return float(weights @ (np.logaddexp(0, log_odds) - shares * log_odds) + penalty @ beta**2 / 2)

    beta = np.zeros(design.shape[1])
    beta[0] = _log_odds_within_reason(float(np.average(shares, weights=weights)))
    for _ in range(_MOST_STEPS):
        found = share_at(design @ beta)
        gradient = design.T @ (weights * (found - shares)) + penalty * beta
        curvature = design.T @ (design * (weights * found * (1 - found))[:, None]) + np.diag(penalty)
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        # Far from the lowest point, a whole step may lead up again. Half of it, or a quarter, does not.
        while loss(beta - step) > loss(beta) and np.abs(step).max() > _CONVERGED:
            step = step / 2
        beta = beta - step
        if np.abs(step).max() <= _CONVERGED:
            break
    return Logistic(mean, scale, beta[1:], float(beta[0]))


def log_odds(shares: Array, margin: float) -> Array:
    """The log odds of shares, which are clipped to 0 … 1. The margin keeps those of 0 and 1 finite.

    >>> log_odds(np.array([0.5, 1.7]), margin=0.25).tolist() == [0.0, np.log(5)]
    True
    """
    clipped = np.clip(shares, 0.0, 1.0)
    return np.asarray(np.log((clipped + margin) / (1 - clipped + margin)))


def _log_odds_within_reason(share: float) -> float:
    return float(log_odds(np.array([share]), margin=1e-6)[0])
