"""Groups of estimates, by hand."""

import math

import numpy as np
import pytest

from k2d.study.reliability import EDGES, reliability

ESTIMATES = np.array([0.02, 0.05, 0.12, 0.5])
SHARES = np.array([0.0, 0.1, 0.2, 1.0])
WORDS = np.array([10.0, 30.0, 20.0, 10.0])
AMOUNTS = np.array([(10, 10, 0, 1, 0), (10, 30, 3, 1, 0), (10, 20, 4, 1, 0), (10, 10, 25, 1, 1)], dtype=float)
FOUND = reliability(ESTIMATES, SHARES, WORDS, AMOUNTS)


def test_a_group_has_its_means_over_words():
    first = FOUND.groups[0]
    assert (first.low, first.high, first.n_chunks, first.seconds) == (0.0, 0.05, 2, 20.0)  # an edge belongs below
    assert first.estimated == pytest.approx((0.02 * 10 + 0.05 * 30) / 40)
    assert first.true == first.label_error == pytest.approx(3 / 40)


def test_the_label_error_has_all_insertions():
    last = FOUND.groups[6]
    assert (last.low, last.high) == (0.4, 0.5)
    assert (last.true, last.label_error) == (1.0, 2.5)


def test_a_limit_keeps_what_is_estimated_below_it():
    assert [limit.n_chunks for limit in FOUND.limits] == [2, 2, 3, 3, 3, 3, 4, 4]
    assert FOUND.limits[2].label_error == pytest.approx(7 / 60)


def test_the_gap_is_over_words():
    expected = 40 * abs(1.7 / 40 - 3 / 40) + 20 * abs(0.12 - 0.2) + 10 * abs(0.5 - 1.0)
    assert FOUND.mean_gap == pytest.approx(expected / 70)


def test_every_chunk_is_in_one_group_and_empty_groups_have_no_figures():
    assert sum(group.n_chunks for group in FOUND.groups) == 4
    assert math.isnan(FOUND.groups[1].estimated)
    ends = reliability(np.array([0.0, 1.0]), np.zeros(2), np.ones(2), AMOUNTS[:2])
    assert [group.n_chunks for group in ends.groups] == [1, *[0] * (len(EDGES) - 3), 1]
