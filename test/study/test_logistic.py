"""The logistic model: answers that are known without fitting, and limits."""

import numpy as np
import pytest

from k2d.study.logistic import fitted, log_odds, share_at

ONES = np.ones(4)


def test_without_a_difference_the_weighted_mean_is_expected():
    shares, weights = np.array([0.0, 0.2, 0.4, 1.0]), np.array([1.0, 1.0, 1.0, 3.0])
    model = fitted(np.full((4, 2), 7.0), shares, weights)
    assert model.expected(np.full((1, 2), 7.0)) == pytest.approx([3.6 / 6])
    assert model.coefficients == pytest.approx([0.0, 0.0])


def test_two_groups_have_their_own_means():
    """Without a penalty, a model with a parameter for each group fits both exactly."""
    inputs, shares = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0.1, 0.3, 0.5, 0.9])
    model = fitted(inputs, shares, ONES, ridge=0.0)
    assert model.expected(np.array([[0.0], [1.0]])) == pytest.approx([0.2, 0.7])


def test_the_gradient_is_zero():
    """What the fit promises: with the penalty, no change of a coefficient makes the loss smaller."""
    random = np.random.default_rng(5)
    inputs, weights = random.normal(size=(200, 3)), random.uniform(1, 9, 200)
    shares = share_at(inputs @ np.array([2.0, -1.0, 0.0]) + 0.5 + random.normal(size=200))
    model = fitted(inputs, shares, weights, ridge=3.0)
    design = (inputs - model.mean) / model.scale
    gaps = weights / weights.mean() * (model.expected(inputs) - shares)
    assert design.T @ gaps + 3.0 * model.coefficients == pytest.approx(np.zeros(3), abs=1e-6)
    assert gaps.sum() == pytest.approx(0.0, abs=1e-6)
    assert model.coefficients[0] > 0 > model.coefficients[1]


def test_shares_that_one_input_decides_give_finite_coefficients():
    """Without the penalty, the best coefficient would be endless."""
    inputs, shares = np.array([[-1e3], [-1e2], [1e2], [1e3]]), np.array([0.0, 0.0, 1.0, 1.0])
    model = fitted(inputs, shares, ONES)
    assert 0 < model.coefficients[0] < 10
    assert model.expected(inputs)[0] < 0.3 < 0.7 < model.expected(inputs)[3]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_shares_that_are_all_alike_are_expected(share):
    random = np.random.default_rng(2)
    model = fitted(random.normal(size=(50, 2)), np.full(50, share), np.ones(50))
    assert model.expected(random.normal(size=(50, 2))) == pytest.approx(np.full(50, share), abs=1e-5)


def test_log_odds_of_certainty_are_finite_and_symmetric():
    low, half, high, beyond = log_odds(np.array([0.0, 0.5, 1.0, 1.8]), margin=0.02)
    assert (half, low) == pytest.approx((0.0, -high))
    assert high == beyond == pytest.approx(np.log(51))
