"""Chunks: results worked out by hand for the four readings and each reason to reject, and general properties."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from k2d.data.chunks import pack
from k2d.data.label_segments import OVERLAP_TOLERANCE_S
from k2d.data.rows import Hypothesis, Segment
from k2d.data.timed_text import segments_of
from k2d.text.timestamps import strip_timestamps


def hypothesis_of(*segments, duration_s=60.0, recording_id="r1"):
    made = (each if isinstance(each, Segment) else Segment(*each) for each in segments)
    return Hypothesis(recording_id, duration_s, tuple(made), ())


def labels(packed):
    return [(chunk.start_s, chunk.end_s, chunk.text) for chunk in packed.chunks]


def reasons(packed):
    return [(each.id, each.reason) for each in packed.rejected]


TALK = hypothesis_of((1, 4, "甲"), (5, 9, "乙"), (9, 12, "丙"), (30, 31, "丁"), (58.5, 60, "戊"))


def test_span_counts_the_silence_between_segments():
    assert labels(pack(TALK, 10.0, "span")) == [
        (1.0, 9.0, "<0.00>甲<3.00><4.00>乙<8.00>"),
        (9.0, 12.0, "<0.00>丙<3.00>"),
        (30.0, 31.0, "<0.00>丁<1.00>"),
        (58.5, 60.0, "<0.00>戊<1.50>"),
    ]


def test_sum_cuts_the_silence_out():
    packed = pack(TALK, 10.0, "sum")
    assert labels(packed) == [
        (1.0, 12.0, "<0.00>甲<3.00><3.00>乙<7.00><7.00>丙<10.00>"),
        (30.0, 60.0, "<0.00>丁<1.00><1.00>戊<2.50>"),
    ]
    assert packed.chunks[0].pieces == ((1.0, 4.0), (5.0, 12.0))  # what touches is one piece
    assert packed.chunks[1].pieces == ((30.0, 31.0), (58.5, 60.0))
    assert [chunk.duration_s for chunk in packed.chunks] == [10.0, 2.5]


def test_authors_cuts_fixed_windows_and_keeps_the_last_one():
    packed = pack(TALK, 10.0, "authors")
    assert labels(packed) == [
        (0.0, 10.0, "<1.00>甲<4.00><5.00>乙<9.00>"),  # 1.0 s of the next is in the window, which is not more than 1.0 s
        (9.0, 19.0, "<0.00>丙<3.00>"),
        (30.0, 40.0, "<0.00>丁<1.00>"),
        (58.5, 60.0, "<0.00>戊<1.50>"),
    ]
    assert not any(chunk.continued for chunk in packed.chunks)


def test_authors_labels_a_segment_that_the_window_cuts_off():
    packed = pack(hypothesis_of((0, 3, "甲"), (8.98, 12, "乙"), (13, 14, "丙")), 10.0, "authors")
    assert labels(packed) == [(0.0, 10.0, "<0.00>甲<3.00><8.98>"), (8.98, 18.98, "<0.00>乙<3.02><4.02>丙<5.02>")]
    assert [chunk.continued for chunk in packed.chunks] == [True, False]


def test_authors_makes_no_chunk_of_a_window_in_which_nothing_ends():
    packed = pack(hypothesis_of((3, 12, "甲"), (45, 46, "乙")), 10.0, "authors")
    assert labels(packed) == [(3.0, 13.0, "<0.00>甲<9.00>"), (45.0, 55.0, "<0.00>乙<1.00>")]


def test_window_labels_the_part_of_a_segment_that_is_in_the_window():
    """Of a sentence of 4 s, 2.5 s are in the window, so 3.75 of its six letters: "two" has not ended yet."""
    packed = pack(hypothesis_of((0, 3, "甲"), (7.5, 11.5, "甲乙two三"), (12, 13, "丙")), 10.0, "window")
    assert [(chunk.start_s, chunk.end_s, chunk.text, chunk.continued) for chunk in packed.chunks] == [
        (0.0, 10.0, "<0.00>甲<3.00><7.50>甲乙<10.00>", True),
        (7.5, 17.5, "<0.00>甲乙two三<4.00><4.50>丙<5.50>", False),
    ]


def test_window_leaves_out_a_segment_that_has_hardly_begun():
    packed = pack(hypothesis_of((0, 3, "甲"), (9.6, 12, "乙丙丁戊己庚")), 10.0, "window")
    assert [chunk.text for chunk in packed.chunks] == ["<0.00>甲<3.00>", "<0.00>乙丙丁戊己庚<2.40>"]


@pytest.mark.parametrize("duration", ["span", "sum", "authors"])
def test_a_chunk_may_be_as_long_as_the_window_to_the_hundredth(duration):
    exact = hypothesis_of(
        (0, 0.1, "a"), (0.1, 0.3, "b"), (0.3, 0.31, "c"), (0.31, 0.61, "d")
    )  # 0.1 + 0.2 > 0.3 in floats
    whole = hypothesis_of((0, 0.1, "a"), (0.1, 0.3, "b"), (0.3, 0.6, "d"))
    assert [chunk.n_segments for chunk in pack(whole, 0.3, duration).chunks] == [2, 1]
    assert reasons(pack(exact, 0.3, duration)) == [("r1#0002", "too_short")]
    assert pack(hypothesis_of((0, 0.31, "a")), 0.3, duration).chunks == ()


def test_ids_are_the_recording_and_hundredths_and_sort_as_the_chunks_do():
    day_s = 100 * 3600.0
    assert [c.id for c in pack(TALK, 30.0).chunks] == ["r1-0000100-0003100", "r1-0005850-0006000"]
    ids = [c.id for c in pack(hypothesis_of((9, 10, "a"), (day_s - 9, day_s - 8, "b"), duration_s=day_s), 10.0).chunks]
    assert ids == ["r1-00000900-00001000", "r1-35999100-35999200"]


def test_a_chunk_has_the_figures_of_its_segments():
    segments = (
        Segment(0, 3, "a", -0.2),
        Segment(3, 4, "b", -1.0, loop=True),
        Segment(4, 9, "c"),
        Segment(12, 13, "d"),
    )
    first, second = pack(hypothesis_of(*segments), 10.0).chunks
    assert (first.mean_logprob, first.loop, first.n_segments) == (-0.4, True, 3)  # (3 · -0.2 + 1 · -1.0) / 4
    assert (second.mean_logprob, second.loop, second.n_segments) == (None, False, 1)


def test_the_mean_log_probability_of_a_chunk_has_two_digits():
    (chunk,) = pack(hypothesis_of(Segment(0, 1, "a", -0.1), Segment(1, 3, "b", -0.45)), 10.0).chunks
    assert chunk.mean_logprob == -0.33  # (-0.1 - 0.9) / 3


def test_a_chunk_has_the_language_of_most_of_its_time():
    """Five seconds of English beside one of Mandarin. Of equal shares the first; none if no segment has one."""
    rows = [(0, 1, "甲", "zh"), (1, 6, "b", "en"), (20, 21, "丙", "zh"), (21, 22, "d", "en"), (40, 41, "e", None)]
    segments = (Segment(start, end, text, language=language) for start, end, text, language in rows)
    assert [chunk.language for chunk in pack(hypothesis_of(*segments), 10.0).chunks] == ["en", "zh", None]


NAN = float("nan")


@pytest.mark.parametrize(
    ("segment", "reason", "detail"),
    [
        ((10, 10, "x"), "bad_times", "segment 1, 10.00 to 10.00 s, 'x': expected 0 <= start < end"),
        ((10, 9, "x"), "bad_times", "expected 0 <= start < end"),
        ((-1, 9, "x"), "bad_times", "expected 0 <= start < end"),
        ((NAN, 9, "x"), "bad_times", "segment 1, nan to 9.00 s, 'x': a time is no number"),
        ((9, float("inf"), "x"), "bad_times", "a time is no number"),
        ((55, 60.51, "x"), "beyond_the_end", "the recording ends at 60.00 s"),
        ((60, 60.2, "x"), "beyond_the_end", "the recording ends at 60.00 s"),
        ((1.94, 4, "x"), "overlaps", "the segment before it ends at 2.00 s"),
        ((9, 9.02, "x"), "too_short", "no words fit into less than 25 ms"),
        ((9, 39.01, "x"), "too_long", "expected at most 30 s"),
        ((9, 12, " \n"), "empty", "nothing was heard"),
        ((9, 12, "我<1.20>你"), "stray_timestamp", "the text holds a timestamp"),
        ((9, 12, "我\x00你"), "control_character", "control character U+0000"),
        ((9, 12, "<s> 我"), "reserved_symbol", "Kaldi's own symbol <s>"),
        ((9, 12, "\ud800"), "encoding", "the text is not Unicode"),
        ((50, 40, "很" * 41), "bad_times", f"'{'很' * 40}…': expected"),
    ],
)
def test_segments_that_cannot_be_a_label_are_rejected_with_a_reason(segment, reason, detail):
    packed = pack(hypothesis_of((0, 2, "甲"), segment, (50, 52, "乙")), 30.0)
    assert [chunk.text for chunk in packed.chunks] == ["<0.00>甲<2.00>", "<0.00>乙<2.00>"]
    assert reasons(packed) == [("r1#0001", reason)]
    assert detail in packed.rejected[0].detail
    assert packed.rejected[0].source == "r1"


def test_slight_overlaps_and_ends_slightly_beyond_the_file_are_corrected_and_counted():
    packed = pack(hypothesis_of((0, 2.04, "甲"), (2, 5, "乙"), (5, 60.5, "丙"), duration_s=60.009), 60.0)
    assert labels(packed) == [(0.0, 60.0, "<0.00>甲<2.04><2.04>乙<5.00><5.00>丙<60.00>")]
    assert packed.n_moved == 2
    assert pack(TALK, 10.0).n_moved == 0


@pytest.mark.parametrize("duration", ["span", "sum", "authors"])
def test_a_chunk_contains_silence_but_no_rejected_segment(duration):
    faulty = pack(hypothesis_of((0, 2, "甲"), (4, 3, "錯"), (5, 6, "乙")), 30.0, duration)
    assert [strip_timestamps(chunk.text).split() for chunk in faulty.chunks] == [["甲"], ["乙"]]
    assert faulty.chunks[0].end_s == 2.0
    silent = pack(hypothesis_of((0, 2, "甲"), (2, 5, ""), (5, 6, "乙")), 30.0, duration)
    assert [strip_timestamps(chunk.text).split() for chunk in silent.chunks] == [["甲", "乙"]]


def test_a_fixed_window_does_not_begin_before_a_rejected_segment():
    packed = pack(hypothesis_of((0, 40, "長"), (41, 43, "甲"), (43, 44, "乙")), 30.0, "authors")
    assert labels(packed) == [(41.0, 60.0, "<0.00>甲<2.00><2.00>乙<3.00>")]


def test_text_is_one_line_in_canonical_form():
    packed = pack(hypothesis_of((0, 1, " cafe\u0301\n我\u3000們 ")), 30.0)
    assert packed.chunks[0].text == "<0.00>café 我 們<1.00>"


def test_a_recording_without_text_has_no_chunks():
    packed = pack(hypothesis_of(), 30.0)
    assert (packed.chunks, packed.rejected) == ((), ())


# --- what must always hold ---

GRID_CS = 10  # the mini teacher's

on_grid = st.tuples(st.integers(0, 40), st.integers(1, 60), st.sampled_from(["我", "so", "我 so", ""]))
anything = st.tuples(
    st.floats(-5, 200) | st.just(NAN), st.floats(-5, 200), st.sampled_from(["我們", "", " ", "<1.00>", "a\x00"])
)
durations = st.sampled_from(["span", "sum", "authors", "window"])
once = st.sampled_from(["span", "sum", "authors"])


@st.composite
def orderly(draw):
    """Segments on the grid that do not overlap."""
    at, segments = 0, []
    for gap, length, text in draw(st.lists(on_grid, max_size=25)):
        at += gap
        segments.append(Segment(at * GRID_CS / 100, (at + length) * GRID_CS / 100, text))
        at += length
    return hypothesis_of(*segments, duration_s=at * GRID_CS / 100 + draw(st.floats(0, 3)))


disorderly = st.lists(anything, max_size=25).map(lambda rows: hypothesis_of(*rows, duration_s=100.0))
hypotheses = st.one_of(orderly(), disorderly)
windows_s = st.integers(10, 300).map(lambda tenths: tenths / 10)


@given(hypotheses, windows_s, once)
def test_every_segment_is_in_one_chunk_or_rejected(hypothesis, max_s, duration):
    packed = pack(hypothesis, max_s, duration)
    rejected = {int(each.id.partition("#")[2]) for each in packed.rejected}
    left = [each for n, each in enumerate(hypothesis.segments) if n not in rejected]
    assert len(rejected) == len(packed.rejected)
    assert sum(chunk.n_segments for chunk in packed.chunks) + len(rejected) == len(hypothesis.segments)
    words = " ".join(strip_timestamps(chunk.text) for chunk in packed.chunks).split()
    assert words == " ".join(each.text for each in left).split()  # in order, each once


@given(orderly(), windows_s, durations)
def test_only_empty_or_too_long_segments_are_rejected_if_segments_do_not_overlap(hypothesis, max_s, duration):
    packed = pack(hypothesis, max_s, duration)
    expected = [
        "empty" if not each.text else "too_long"
        for each in hypothesis.segments
        if not each.text or round(each.end_s - each.start_s, 2) > max_s
    ]
    assert [each.reason for each in packed.rejected] == expected


@given(hypotheses, windows_s, durations)
def test_no_chunk_is_longer_than_the_window_or_leaves_the_recording(hypothesis, max_s, duration):
    packed = pack(hypothesis, max_s, duration)
    for chunk in packed.chunks:
        assert 0 <= chunk.start_s < chunk.end_s <= hypothesis.duration_s + 1e-9  # times are rounded, durations are not
        assert chunk.duration_s <= max_s
        assert all(a[1] < b[0] for a, b in pairwise(chunk.pieces))
        assert (chunk.pieces[0][0], chunk.pieces[-1][1]) == (chunk.start_s, chunk.end_s)
        assert len(chunk.pieces) == 1 or duration == "sum"
    assert [chunk.id for chunk in packed.chunks] == sorted({chunk.id for chunk in packed.chunks})


@given(hypotheses, windows_s, durations)
@pytest.mark.slow
def test_labels_parse_back_to_the_times_of_their_segments(hypothesis, max_s, duration):
    for chunk in pack(hypothesis, max_s, duration).chunks:
        text = chunk.text.rpartition("<")[0] if chunk.continued and duration == "authors" else chunk.text
        segments = segments_of(text, window_s=max_s)
        assert isinstance(segments, list), segments
        assert len(segments) == chunk.n_segments + (chunk.continued and duration == "window")
        if duration not in ("authors", "window"):
            assert segments[0].start_s == 0.0
            assert segments[-1].end_s == chunk.duration_s


@given(orderly(), windows_s, st.sampled_from(["span", "sum"]))
def test_times_stay_on_the_grid(hypothesis, max_s, duration):
    for chunk in pack(hypothesis, max_s, duration).chunks:
        segments = segments_of(chunk.text)
        times_cs = [round(100 * time) for each in segments for time in (each.start_s, each.end_s)]
        assert all(time % GRID_CS == 0 for time in times_cs)


@given(orderly(), windows_s)
def test_chunks_are_as_few_as_adjacent_segments_allow(hypothesis, max_s):
    packed = pack(hypothesis, max_s, "span")
    assume(all(each.reason == "empty" for each in packed.rejected))
    for chunk, following in pairwise(packed.chunks):
        first_end_s = following.start_s + segments_of(following.text)[0].end_s
        assert round(first_end_s - chunk.start_s, 2) > max_s


@given(orderly(), windows_s)
def test_packing_the_chunks_of_a_chunk_changes_nothing(hypothesis, max_s):
    for chunk in pack(hypothesis, max_s, "span").chunks:
        again = pack(hypothesis_of(*segments_of(chunk.text), duration_s=chunk.duration_s), max_s, "span")
        assert [each.text for each in again.chunks] == [chunk.text]


def test_the_tolerance_of_overlaps_is_inclusive():
    assert OVERLAP_TOLERANCE_S == 0.05
    assert reasons(pack(hypothesis_of((0, 2, "a"), (1.95, 4, "b")), 30.0)) == []
    assert reasons(pack(hypothesis_of((0, 2, "a"), (1.94, 4, "b")), 30.0)) == [("r1#0001", "overlaps")]
