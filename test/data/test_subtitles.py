"""Subtitles: the formats byte by byte, their escapes, and the order of cues with any times."""

import json
import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from k2d.data.rows import Hypothesis, Segment
from k2d.data.subtitles import FORMATS, cues, json_text, lines, srt, vtt

HEARD = Hypothesis(
    "r1",
    3800.0,
    (
        Segment(0.0, 2.4, "我們用 model", -0.31),
        Segment(2.4, 3.0, " "),
        Segment(3725.04, 3726.5, 'a & b <i> --> "c"\n第二行', -0.5, loop=True),
    ),
    (),
)

wild = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 20)
segments = st.lists(st.builds(Segment, wild, wild, st.text("我a <>&-\n", max_size=6)), max_size=8)


def test_srt():
    assert srt(HEARD) == (
        '1\n00:00:00,000 --> 00:00:02,400\n我們用 model\n\n2\n01:02:05,040 --> 01:02:06,500\na & b <i> --> "c" 第二行\n'
    )


def test_vtt_escapes_what_would_be_markup_or_a_time_line():
    assert vtt(HEARD) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.400\n我們用 model\n\n"
        '01:02:05.040 --> 01:02:06.500\na &amp; b &lt;i&gt; --&gt; "c" 第二行\n'
    )


def test_plain_text_has_a_line_for_each_segment_with_text():
    assert lines(HEARD) == '我們用 model\na & b <i> --> "c" 第二行\n'


def test_json_holds_every_segment_as_it_is():
    record = json.loads(json_text(HEARD))
    assert record["id"] == "r1"
    assert record["text"] == '我們用 model a & b <i> --> "c" 第二行'
    assert record["segments"][2] == {
        "start_s": 3725.04,
        "end_s": 3726.5,
        "text": 'a & b <i> --> "c"\n第二行',
        "mean_logprob": -0.5,
        "loop": True,
    }
    assert len(record["segments"]) == 3


def test_a_recording_without_text_gives_a_file_without_cues():
    nothing = Hypothesis("r1", 5.0, (), ())
    assert [FORMATS[name](nothing) for name in ("txt", "srt", "vtt")] == ["", "", "WEBVTT\n"]


def test_a_segment_without_length_or_with_an_overlap_is_moved_and_kept():
    odd = (Segment(1.0, 3.0, "a"), Segment(2.5, 4.0, "b"), Segment(4.0, 4.0, "c"), Segment(float("nan"), 0, "d"))
    shown = [(cue.start_ms, cue.end_ms, cue.text) for cue in cues(Hypothesis("r", 9, odd, ()))]
    assert shown == [(1000, 3000, "a"), (3000, 4000, "b"), (4000, 4100, "c"), (4100, 4200, "d")]


@given(segments)
def test_cues_are_in_order_and_no_text_is_lost(spoken):
    hypothesis = Hypothesis("r", 20.0, tuple(spoken), ())
    made = list(cues(hypothesis))
    assert all(a.end_ms <= b.start_ms for a, b in pairwise(made))
    assert all(0 <= cue.start_ms < cue.end_ms for cue in made)
    assert [cue.text for cue in made] == [" ".join(each.text.split()) for each in spoken if each.text.strip()]


@given(segments)
def test_vtt_has_as_many_time_lines_as_cues_and_parses_back(spoken):
    hypothesis = Hypothesis("r", 20.0, tuple(spoken), ())
    header, *blocks = vtt(hypothesis).removesuffix("\n").split("\n\n")
    assert header.strip() == "WEBVTT"
    texts = []
    for block in blocks:
        times, text = block.split("\n")
        assert re.fullmatch(r"\d{2,}:\d\d:\d\d\.\d{3} --> \d{2,}:\d\d:\d\d\.\d{3}", times)
        texts.append(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert texts == [cue.text for cue in cues(hypothesis)]
