"""Bootstrap and MAPSSWE: cases worked out by hand, and general properties."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.score import confidence
from k2d.score.align import edits
from k2d.score.confidence import Draws, bootstrap, improvement, matched_pairs, segment_differences
from k2d.score.rates import ErrorRate

GROUPS = st.lists(st.tuples(st.integers(1, 300), st.floats(0, 1)), min_size=2, max_size=30)


def of(pairs):
    return [ErrorRate(n, s=int(n * share)) for n, share in pairs]


def differences(ref, first, second):
    return segment_differences(len(ref), edits(list(ref), list(first)), edits(list(ref), list(second)))


def test_two_groups_give_three_possible_rates():
    """Group a has 10 tokens without errors, group b 30 with 12. The draws are (a, a), (a, b) or (b, b)."""
    found = bootstrap([ErrorRate(10), ErrorRate(30, s=12)])
    assert (found.low, found.high) == (0.0, 40.0)
    narrow = bootstrap([ErrorRate(10), ErrorRate(30, s=12)], Draws(level=0.2))  # (a, b) comes half the time
    assert (narrow.low, narrow.high) == (30.0, 30.0)


def test_groups_and_not_utterances_are_drawn():
    """The same errors: all in one of two lectures, or spread evenly."""
    wide = bootstrap([ErrorRate(100, s=40), ErrorRate(100)])
    even = bootstrap([ErrorRate(100, s=20), ErrorRate(100, s=20)])
    assert (wide.low, wide.high) == (0.0, 40.0)
    assert (even.low, even.high) == (20.0, 20.0)


def test_the_interval_matches_the_normal_approximation():
    """400 groups of 100 tokens with 10 or 30 errors: the mean has a deviation of 10 / sqrt(400) = 0.5 points."""
    found = bootstrap([ErrorRate(100, s=10 if at % 2 else 30) for at in range(400)], Draws(resamples=4000))
    assert found.low == pytest.approx(20 - 1.96 * 0.5, abs=0.1)
    assert found.high == pytest.approx(20 + 1.96 * 0.5, abs=0.1)


def test_one_group_has_no_interval_and_the_seed_decides():
    assert bootstrap([ErrorRate(10, s=1)]) is None
    assert bootstrap([ErrorRate(10, s=1), ErrorRate(0, i=2)]) is None
    groups = of([(n, n / 40) for n in range(3, 33)])
    assert bootstrap(groups) == bootstrap(groups)
    assert bootstrap(groups, Draws(seed=2)) != bootstrap(groups)


@pytest.mark.parametrize("n_at_once", [1, 20, 41, 1000])
def test_the_draws_are_the_same_however_many_are_in_memory(monkeypatch, n_at_once):
    """20 groups: blocks of less than one draw, one draw, a little over two draws, and all 30 draws."""
    groups = of([(n, n / 40) for n in range(3, 23)])
    expected = bootstrap(groups, Draws(resamples=30))
    monkeypatch.setattr(confidence, "_DRAWN_AT_ONCE", n_at_once)
    assert bootstrap(groups, Draws(resamples=30)) == expected


@settings(max_examples=60, deadline=None)
@given(GROUPS)
def test_the_interval_contains_the_point(pairs):
    groups = of(pairs)
    found = bootstrap(groups, Draws(resamples=300))
    point = 100 * sum(g.errors for g in groups) / sum(g.n for g in groups)
    assert found.low - 1e-9 <= point <= found.high + 1e-9


def test_improvement_is_certain_impossible_or_even():
    worse, better = [ErrorRate(10, s=5)] * 6, [ErrorRate(10, s=4)] * 6
    assert improvement(worse, better) == 1.0
    assert improvement(better, worse) == 0.0
    assert improvement(worse, worse) == 0.5
    assert improvement(worse[:1], better[:1]) is None


def test_improvement_by_hand():
    """Two groups, one better by 1 and one worse by 2: better only if the first is drawn twice, in 1 of 4 cases."""
    before, after = [ErrorRate(9, s=3), ErrorRate(9, s=3)], [ErrorRate(9, s=2), ErrorRate(9, s=5)]
    assert improvement(before, after, Draws(resamples=20_000)) == pytest.approx(0.25, abs=0.01)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=9))
def test_both_directions_add_up_to_one(errors):
    first, second = ([ErrorRate(10, s=pair[side]) for pair in errors] for side in (0, 1))
    there, back = (improvement(*pair, Draws(resamples=200)) for pair in ((first, second), (second, first)))
    assert there + back == pytest.approx(1)


def test_groups_that_differ_are_refused():
    with pytest.raises(AssertionError, match="not the same groups"):
        improvement([ErrorRate(10), ErrorRate(5)], [ErrorRate(10), ErrorRate(6)])


@pytest.mark.parametrize(
    ("ref", "first", "second", "expected"),
    [
        ("abcdef", "abcdef", "abcdef", []),
        ("abcdef", "xbcdef", "abcdef", [-1]),  # the second has one error less
        ("abcdef", "xbcdex", "abcdex", [-1, 0]),  # bcd is right in both: two segments
        ("abcd", "xbxd", "abcd", [-2]),  # a single right token bounds nothing
        ("abcdef", "abcdef", "abxcdyef", [1, 1]),  # two insertions, cd between them
        ("abcdef", "abcdef", "abxcydef", [2]),  # c alone bounds nothing
        ("abcd", "", "abcd", [-4]),
        ("", "xy", "x", [-1]),
    ],
)
def test_segments_are_bounded_by_two_tokens_right_in_both(ref, first, second, expected):
    assert differences(ref, first, second) == expected


def test_mapsswe_by_hand():
    """Differences 1, 1, 1, -1: mean 0.5, variance 1, z = 0.5 / (1 / 2) = 1."""
    found = matched_pairs([1, 1, 1, -1])
    assert (found.n_segments, found.mean) == (4, 0.5)
    assert found.p == pytest.approx(2 * (1 - 0.8413447), abs=1e-6)


def test_mapsswe_in_extreme_cases():
    assert matched_pairs([]).p is None
    assert matched_pairs([3]).p is None
    assert matched_pairs([0, 0, 0]).p == 1.0
    assert matched_pairs([1, 1, 1]).p == 0.0
    assert matched_pairs([1, -1] * 50).p == 1.0


@given(st.lists(st.integers(-4, 4), max_size=40))
def test_mapsswe_does_not_mind_which_system_is_the_first(changes):
    one, other = matched_pairs(changes), matched_pairs([-change for change in changes])
    assert one.p == other.p
    assert one.p is None or (0 <= one.p <= 1 and math.isfinite(one.p))
