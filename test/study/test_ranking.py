"""Kept hours, label error, recall, precision and area: worked out by hand, and what must always hold."""

import doctest
import importlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.study.ranking import (
    ERRORS,
    SECONDS,
    WORDS,
    area_under_curve,
    figures,
    judged,
    kept,
    least_error,
    ranked,
)

BAR = 0.4
CHUNKS = st.lists(
    st.tuples(st.integers(1, 300), st.integers(1, 60), st.integers(0, 90), st.integers(0, 4)), min_size=2, max_size=25
)
SHARE = st.floats(0.05, 0.95)


def amounts(rows):
    """Rows of seconds, words and errors, with the other columns added."""
    return np.array([(s, n, e, 1, e > BAR * n) for s, n, e in rows], dtype=float)


FOUR = amounts([(10, 10, 0), (10, 10, 2), (10, 10, 6), (10, 10, 9)])
SCORES = np.array([0.0, 1.0, 1.0, 2.0])


def test_of_equal_scores_an_equal_part_is_kept():
    """20 s: the first chunk, and half of the two that tie, one of which is bad."""
    found = judged(ranked(SCORES), FOUR, 20.0)
    assert found.label_error == pytest.approx((0 + (2 + 6) / 2) / 20)
    assert found.recall == pytest.approx(1.5 / 2)
    assert found.precision == pytest.approx(1.5 / 2)
    # Of the four pairs of a bad and a good label, three are in order, and one is a tie.
    assert found.area == pytest.approx(3.5 / 4)


def test_the_chunk_at_the_border_counts_in_part():
    found = kept(ranked(np.arange(4.0)).sums(FOUR), 25.0)
    assert (found[SECONDS], found[WORDS], found[ERRORS]) == pytest.approx((25.0, 25.0, 0 + 2 + 6 / 2))


def test_scores_are_sorted_wherever_the_chunks_stand():
    backwards = judged(ranked(SCORES[::-1].copy()), FOUR[::-1].copy(), 20.0)
    assert backwards == pytest.approx(judged(ranked(SCORES), FOUR, 20.0))


def test_where_nothing_is_dropped_or_nothing_is_bad_there_is_no_figure():
    everything = judged(ranked(SCORES), FOUR, 40.0)
    assert (everything.label_error, everything.recall) == pytest.approx((17 / 40, 0.0))
    assert math.isnan(everything.precision)
    good = judged(ranked(SCORES), amounts([(10, 10, 1)] * 4), 20.0)
    assert math.isnan(good.recall)
    assert math.isnan(good.area)


def test_a_weight_of_two_is_a_chunk_that_is_there_twice():
    weights = np.array([2.0, 0.0, 1.0, 1.0])
    twice = [0, 0, 2, 3]
    expected = judged(ranked(SCORES[twice]), FOUR[twice], 15.0)
    assert judged(ranked(SCORES), FOUR, 15.0, weights) == pytest.approx(expected)
    assert least_error(FOUR, 15.0, weights) == pytest.approx(least_error(FOUR[twice], 15.0))


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(AssertionError, match="a score is no number"):
        ranked(np.array([0.0, np.nan]))


@given(CHUNKS, SHARE)
@settings(max_examples=100, deadline=None)
def test_chance_has_the_error_of_everything_at_every_share(rows, share):
    found = amounts([row[:3] for row in rows])
    total = found.sum(axis=0)
    chance = judged(ranked(np.zeros(len(rows))), found, share * total[SECONDS])
    assert chance.label_error == pytest.approx(total[ERRORS] / total[WORDS])
    assert math.isnan(chance.recall) or chance.recall == pytest.approx(1 - share)
    assert math.isnan(chance.area) or chance.area == 0.5


@given(CHUNKS, SHARE)
@settings(max_examples=200, deadline=None)
def test_no_judge_has_fewer_errors_than_the_oracle(rows, share):
    """Not even one that sorts by the true rate: chunks have different numbers of words in a second."""
    found = amounts([row[:3] for row in rows])
    kept_s = share * found[:, SECONDS].sum()
    lowest = least_error(found, kept_s)
    assert lowest[SECONDS] == pytest.approx(kept_s)
    bound = lowest[ERRORS] / lowest[WORDS]
    rates = found[:, ERRORS] / found[:, WORDS]
    for scores in (np.array([float(row[3]) for row in rows]), rates, -rates, np.zeros(len(rows))):
        assert bound <= judged(ranked(scores), found, kept_s).label_error + 1e-9


def test_the_oracle_against_every_choice():
    """Of chunks of equal length, whole chunks are best, so the lowest error is that of one of the subsets."""
    random = np.random.default_rng(3)
    rows = amounts([(10, int(random.integers(1, 40)), int(random.integers(0, 40))) for _ in range(9)])
    for n in range(1, 9):
        sums = [rows[list(chosen)].sum(axis=0) for chosen in itertools.combinations(range(9), n)]
        found = least_error(rows, 10.0 * n)
        assert found[ERRORS] / found[WORDS] == pytest.approx(min(s[ERRORS] / s[WORDS] for s in sums))


def test_a_label_without_true_words_is_never_for_free():
    """The oracle has no rate for it, and still keeps it last."""
    rows = amounts([(10, 0, 5), (10, 10, 1), (10, 10, 3)])
    found = least_error(rows, 20.0)
    assert (found[WORDS], found[ERRORS]) == (20, 4)


@given(CHUNKS)
@settings(max_examples=100, deadline=None)
def test_the_area_of_a_perfect_judge_is_one_and_of_its_opposite_none(rows):
    found = amounts([row[:3] for row in rows])
    rates = found[:, ERRORS] / found[:, WORDS]
    area, opposite = (area_under_curve(ranked(scores).sums(found)) for scores in (rates, -rates))
    if math.isnan(area):
        assert len(set(found[:, 4])) == 1
    else:
        assert (area, opposite) == (1.0, 0.0)


def test_amounts_that_differ_by_rounding_alone_are_equal():
    total = np.array([30.0, 10.0, 1.0, 3.0, 1.0])
    assert math.isnan(figures(total - 1e-13, total, 0.5).precision)


@pytest.mark.parametrize("name", ["doubt", "logistic", "facts", "combined", "judge_tables"])
def test_the_examples_hold(name):
    found = doctest.testmod(importlib.import_module(f"k2d.study.{name}"))
    assert found.attempted
    assert not found.failed
