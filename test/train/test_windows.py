"""Composed windows: for all random choices, times are exact and in order, and only the last utterance is cut."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.text.truncate import heard_text
from k2d.train.windows import Layout, Placed, compose, timed_text

DURATIONS = st.lists(st.floats(0.1, 10.0), min_size=1, max_size=6).map(np.array)


@given(DURATIONS, st.integers(0, 2**32), st.sampled_from([0.0, 0.5, 1.0]))
def test_utterances_follow_each_other_within_the_window(durations_s, seed, cut_share):
    layout = Layout(10.0, 0.1, cut_share)
    placed = compose(np.random.default_rng(seed), durations_s, layout)
    assert len(placed) >= 1
    bounds = [time for p in placed for time in (p.start, p.end)]
    assert bounds == sorted(bounds)
    assert bounds[0] >= 0
    assert bounds[-1] <= 100
    for p in placed[:-1] if placed[-1].share < 1 else placed:
        assert p.share == 1.0
        assert -1e-6 < (p.end - p.start) * 0.1 - durations_s[p.utterance] < 0.1 + 1e-6
    if placed[-1].share < 1:
        assert cut_share > 0
        assert placed[-1].end == 100


@given(DURATIONS, st.integers(0, 2**32))
def test_a_window_is_a_function_of_its_generator(durations_s, seed):
    one, other = (compose(np.random.default_rng(seed), durations_s, Layout(10.0, 0.1, 0.5)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(
    ("cut_share", "expected"), [(0.0, (Placed(0, 0, 60),)), (1.0, (Placed(0, 0, 60), Placed(0, 60, 100, 4 / 6)))]
)
def test_one_utterance_of_six_seconds_without_pauses(cut_share, expected):
    layout = Layout(10.0, 0.1, cut_share, longest_pause_s=0.0)
    placed = compose(np.random.default_rng(0), np.array([6.0]), layout)
    assert [(p.utterance, p.start, p.end) for p in placed] == [(p.utterance, p.start, p.end) for p in expected]
    assert [p.share for p in placed] == pytest.approx([p.share for p in expected])


def test_an_utterance_as_long_as_the_window_fills_it():
    placed = compose(np.random.default_rng(3), np.array([10.0]), Layout(10.0, 0.1, 1.0))
    assert placed == (Placed(0, 0, 100),)


def test_the_last_utterance_is_not_cut_to_less_than_half_a_second():
    layout = Layout(10.0, 0.1, 1.0, longest_pause_s=0.0)
    assert compose(np.random.default_rng(0), np.array([9.6]), layout) == (Placed(0, 0, 96),)
    assert len(compose(np.random.default_rng(0), np.array([9.5]), layout)) == 2


def test_a_short_window_is_the_beginning_of_a_full_one():
    durations_s = np.array([1.0, 2.0])
    lengths = set()
    for seed in range(40):
        full = compose(np.random.default_rng(seed), durations_s, Layout(10.0, 0.1))
        short = compose(np.random.default_rng(seed), durations_s, Layout(10.0, 0.1, short_share=1.0))
        assert short == full[: len(short)]
        lengths.add(len(short))
    assert min(lengths) == 1
    assert len(lengths) > 2


def test_pauses_range_from_zero_to_the_maximum():
    layout = Layout(10.0, 0.1, longest_pause_s=0.5)
    pauses = set()
    for seed in range(60):
        placed = compose(np.random.default_rng(seed), np.array([1.0]), layout)
        pauses |= {b.start - a.end for a, b in pairwise(placed)}
    assert pauses == {0, 1, 2, 3, 4, 5}


def test_every_utterance_is_drawn_as_often_as_any_other():
    durations_s = np.full(4, 0.9)
    drawn = np.zeros(4)
    for seed in range(400):
        for p in compose(np.random.default_rng(seed), durations_s, Layout(10.0, 0.1)):
            drawn[p.utterance] += 1
    assert drawn.min() / drawn.sum() > 0.22


def test_the_label_of_a_cut_utterance_ends_with_the_window():
    label = timed_text((Placed(0, 0, 60), Placed(0, 60, 100, 0.7)), ["我們 like music"], 0.1)
    assert label == "<0.00>我們 like music<6.00><6.00>我們 like<10.00>"


@pytest.mark.parametrize(
    ("text", "share_in_window", "expected"),
    [
        ("你好嗎", 2 / 3, "你好"),
        ("你好嗎", 0.65, "你"),
        ("a bc", 0.75, "a"),  # a word is kept as a whole or not
        ("it's fine", 0.5, "it's"),
        ("", 0.5, ""),
    ],
)
def test_words_that_end_before_the_cut_stay(text, share_in_window, expected):
    assert heard_text(text, share_in_window) == expected
