"""The learning rate of each step, worked out by hand, and the steps at which a model is measured."""

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.config.training import Running, Steps
from k2d.train import records, schedule, windows
from k2d.train.schedule import learning_rate, measured_steps


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0]),
        ("linear", [0.5, 1.0, 1.0, 0.75, 0.25]),
        ("cosine", [0.5, 1.0, 1.0, 0.8535533905932737, 0.14644660940672627]),
        ("inverse_sqrt", [0.5, 1.0, 0.816496580927726, 0.7071067811865476, 0.5773502691896257]),
    ],
)
def test_a_warm_up_of_two_steps_then_four_more(kind, expected):
    steps = Steps(steps=6, lr=1.0, warmup_steps=2, schedule=kind)
    assert [learning_rate(steps, step) for step in (0, 1, 2, 3, 5)] == pytest.approx(expected)


@given(st.integers(1, 3000), st.integers(1, 40))
def test_the_model_is_measured_at_the_end_and_at_four_fifths(n_steps, evaluations):
    measured = measured_steps(Running(evaluations=evaluations), Steps(steps=n_steps))
    assert max(measured) == n_steps
    assert min(measured) >= 1
    assert len(measured) <= evaluations
    if evaluations == 5 and n_steps % 5 == 0:
        assert n_steps * 4 // 5 in measured


def test_examples():
    results = [doctest.testmod(module) for module in (records, schedule, windows)]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 5
