"""Counts of errors are added, and rates are quotients of sums."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.score.rates import ErrorRate, total


@st.composite
def rates(draw):
    n = draw(st.integers(0, 50))
    s = draw(st.integers(0, n))
    return ErrorRate(n, s, draw(st.integers(0, n - s)), draw(st.integers(0, 50)))


def test_a_sum_is_not_the_mean_of_percentages():
    short, long = ErrorRate(n=1, s=1), ErrorRate(n=99)
    assert (short.percent, long.percent) == (100.0, 0.0)
    assert (short + long).percent == 1.0


def test_insertions_can_exceed_the_reference_and_an_empty_one_has_no_rate():
    assert ErrorRate(n=2, i=5).percent == 250.0
    assert ErrorRate(n=0, i=5).percent is None
    assert ErrorRate(n=0, i=5).as_figure() == {"n": 0, "s": 0, "d": 0, "i": 5, "percent": None}


@pytest.mark.parametrize("counts", [(1, 1, 1, 0), (0, 0, 1, 0), (3, -1, 0, 0), (3, 0, 0, -1), (-1, 0, 0, 0)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(AssertionError):
        ErrorRate(*counts)


@given(st.lists(rates()))
def test_the_total_is_the_sum_and_survives_storing(many):
    summed = ErrorRate()
    for rate in many:
        summed += rate
    assert total(many) == summed == total(reversed(many))
    figure = summed.as_figure()
    assert ErrorRate(*(figure[name] for name in "nsdi")) == summed
