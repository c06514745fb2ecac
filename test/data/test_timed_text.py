"""Timestamped text is written from segments and parsed back. Malformed text is reported and never causes a crash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.core.errors import Fault, Treatment
from k2d.data.rows import Segment
from k2d.data.timed_text import segments_of, timed_text
from k2d.text.timestamps import strip_timestamps


def test_times_count_from_the_offset_and_have_two_decimals():
    segments = [Segment(28.4, 30.1, "你好"), Segment(30.10, 31, "world")]
    assert timed_text(segments, offset_s=28.4) == "<0.00>你好<1.70><1.70>world<2.60>"
    assert strip_timestamps(timed_text(segments)).split() == ["你好", "world"]


@given(
    st.lists(st.integers(1, 500), min_size=2, max_size=12).filter(lambda steps: len(steps) % 2 == 0),
    st.text("我們用 model3.5,<>", min_size=1, max_size=9).filter(lambda text: text.strip() and "<" not in text),
)
def test_parsing_reverses_writing(steps, words):
    ends = [sum(steps[: n + 1]) / 100 for n in range(len(steps))]
    segments = [Segment(a, b, words.strip()) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    assert segments_of(timed_text(segments)) == segments


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<0.00>我<1.00><2.00>", "odd_timestamps"),
        ("<0.00>", "odd_timestamps"),
        ("<0.00>我<1.00><0.50>你<2.00>", "decreasing_timestamps"),
        ("<2.00>我<1.00>", "decreasing_timestamps"),
        ("<0.00>我<30.02>", "beyond_the_window"),
        ("<0.00><1.00>", "glued_timestamps"),
        ("<0.00> <1.00>", "glued_timestamps"),
        ("<0.001.20>我<2.00>", "malformed_timestamp"),
        ("<-1.00>我<2.00>", "malformed_timestamp"),
        ("<0,00>我<2.00>", "malformed_timestamp"),
        ("<0.00>我<1.00", "malformed_timestamp"),
        ("我<0.00>你<1.00>", "text_outside"),
        ("<0.00>你<1.00>我<2.00>他<3.00>", "text_outside"),
        ("沒有時間", "text_outside"),
    ],
)
def test_malformed_text_is_a_fault_that_is_rejected(text, code):
    found = segments_of(text, window_s=30.0)
    assert isinstance(found, Fault)
    assert (found.code, found.treatment) == (code, Treatment.QUARANTINE)


def test_no_text_is_no_segment_and_other_brackets_are_text():
    assert segments_of(" ") == []
    assert segments_of("<0.00>a < b <tag><1.00>") == [Segment(0.0, 1.0, "a < b <tag>")]


@given(st.text("<>0123456789. 我a-", max_size=40))
def test_no_text_crashes_the_parser(text):
    found = segments_of(text, window_s=30.0)
    assert isinstance(found, Fault) or all(0 <= each.start_s <= each.end_s <= 30 and each.text for each in found)
