"""Captions written by hand, by YouTube and by players that roll lines: each text once, with its times."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.core.errors import K2DError
from k2d.data.raw.captions import MAX_BYTES, clean_line, parse_captions, read_captions
from k2d.data.rows import Hypothesis, Segment
from k2d.data.subtitles import FORMATS

SRT = """\ufeff1
00:00:01,000 --> 00:00:02,500
大家好 <i>welcome</i>

2
00:00:02,500 --> 00:00:04,000
{\\an8}我們今天講
deep learning

3
00:01:00,250 --> 00:01:02,000
♪ 音樂 ♪
4
00:01:02,000 --> 00:01:03,000
- 對 &amp; 謝謝
"""
VTT = """WEBVTT - a lecture
Kind: captions

STYLE
::cue { color: red }

NOTE 00:01 is where it starts

intro
00:01.000 --> 00:02.500 align:start position:0%
<v Prof. Lee>大家好 <c.loud>welcome</c>

1:00:00.000 --> 1:00:01.000
<00:00:00.500>x &lt; y and y &gt; z
"""
ROLLING = """WEBVTT
Kind: captions
Language: en

00:00:00.000 --> 00:00:02.000 align:start position:0%
\x20
so<00:00:00.400><c> today</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
so today
\x20

00:00:02.010 --> 00:00:04.000 align:start position:0%
so today
we<00:00:02.400><c> talk</c>

00:00:04.000 --> 00:00:04.010 align:start position:0%
we talk
\x20

00:00:04.010 --> 00:00:06.000 align:start position:0%
we talk
about GPU
"""


def read_cues(text):
    return [(cue.start_s, cue.end_s, cue.text) for cue in parse_captions(text).cues]


def test_srt_as_people_write_it():
    made = parse_captions(SRT.removeprefix("\ufeff"))
    assert [(cue.start_s, cue.end_s, cue.text) for cue in made.cues] == [
        (1.0, 2.5, "大家好 welcome"),
        (2.5, 4.0, "我們今天講 deep learning"),
        (60.25, 62.0, "音樂"),
        (62.0, 63.0, "對 & 謝謝"),
    ]
    assert (made.n_in, dict(made.dropped)) == (4, {})


def test_vtt_with_styles_notes_names_and_settings():
    assert read_cues(VTT) == [(1.0, 2.5, "大家好 welcome"), (3600.0, 3601.0, "x < y and y > z")]


@pytest.mark.parametrize(
    ("line", "times"),
    [
        ("00:00:01,000 --> 00:00:02,500", (1.0, 2.5)),
        ("0:00:01.5 --> 0:00:02.25", (1.5, 2.25)),
        ("00:01 --> 01:02", (1.0, 62.0)),
        ("  75:00.000 --> 75:01.000  X1:0 X2:9 Y1:0 Y2:9", (4500.0, 4501.0)),
        ("01:00:00.000-->01:00:01.000 line:0 position:20%", (3600.0, 3601.0)),
        ("123:00:00.000 --> 123:00:01.000", (442800.0, 442801.0)),
        ("00:00:00,000 --> 00:00:01,000\r", (0.0, 1.0)),
        ("-00:00:01,000 --> 00:00:02,000", None),
        ("00:00:01,000 --> -00:00:02,000", None),
        ("00:00:01,000 --> 00:00:02,0000", None),
        ("00:00:01,000 -> 00:00:02,000 --> x", None),
    ],
)
def test_times_as_programs_write_them(line, times):
    made = parse_captions(f"{line}\n好\n")
    assert [(cue.start_s, cue.end_s) for cue in made.cues] == ([times] if times else [])
    assert made.dropped["bad_times"] == (not times)


def test_rolling_lines_are_read_once():
    made = parse_captions(ROLLING)
    assert [cue.text for cue in made.cues] == ["so today", "we talk", "about GPU"]
    assert [(cue.start_s, cue.end_s) for cue in made.cues] == [(0.0, 2.0), (2.01, 4.0), (4.01, 6.0)]
    assert dict(made.dropped) == {"shown_before": 2}


def test_repeated_text_is_not_mistaken_for_rolling_lines():
    text = "".join(
        f"00:00:0{n}.000 --> 00:00:0{n + 1}.000\n{word}\n\n" for n, word in enumerate(["對", "對", "好", "好"])
    )
    assert [cue[2] for cue in read_cues(text)] == ["對", "對", "好", "好"]


def test_overlapping_cues_are_cut_and_cues_with_equal_starts_are_joined():
    text = (
        "00:05.000 --> 00:08.000\nlater\n\n00:01.000 --> 00:04.000\nfirst\n\n"
        "00:03.000 --> 00:06.000\nsecond\n\n00:05.000 --> 00:07.000\nat once\n\n00:05.000 --> 00:09.000\nlater\n"
    )
    made = parse_captions(text)
    assert [(c.start_s, c.end_s, c.text) for c in made.cues] == [
        (1.0, 3.0, "first"),
        (3.0, 5.0, "second"),
        (5.0, 9.0, "at once later"),
    ]
    assert (made.n_in, made.n_merged, dict(made.dropped)) == (5, 2, {})


def test_bad_times_and_empty_cues_are_counted():
    text = (
        "00:01.000 --> 00:01.000\nno time\n\n00:09.000 --> 00:02.000\nbackwards\n\nnow --> then\nodd\n\n"
        "00:02.000 --> 00:03.000\n[音樂]\n\n00:03.000 --> 00:04.000\n\n00:04.000 --> 00:05.000\n（笑）\n\n"
        "00:05.000 --> 00:06.000\n…\n\n00:06.000 --> 00:07.000\ngood\n"
    )
    made = parse_captions(text)
    assert [cue.text for cue in made.cues] == ["good"]
    assert (made.n_in, dict(made.dropped)) == (8, {"bad_times": 3, "no_words": 4})


@pytest.mark.parametrize(
    ("line", "clean"),
    [
        ("&gt;&gt; 老師：\u200b好&nbsp;的", "老師：好 的"),
        ("a (English gloss) b", "a (English gloss) b"),
        ("<ruby>漢<rt>ㄏㄢˋ</rt></ruby>字", "漢字"),
        ("x < y", "x < y"),
        ("5 - 3", "5 - 3"),
        ("\u202a【音樂】開始\u202c", "開始"),
        ("<" * 5000, "<" * 5000),
    ],
)
def test_markup_and_sounds_are_removed_from_a_line(line, clean):
    assert clean_line(line) == clean


def test_files_in_other_encodings_are_read(tmp_path):
    for name, encoding in (("a.srt", "utf-8"), ("b.srt", "utf-16"), ("c.srt", "utf-8-sig")):
        (tmp_path / name).write_bytes(SRT.removeprefix("\ufeff").replace("\n", "\r\n").encode(encoding))
        assert read_captions(tmp_path / name).cues[0].text == "大家好 welcome"
    (tmp_path / "big5.srt").write_bytes("00:01.0 --> 00:02.0\n大家好".encode("big5"))
    with pytest.raises(K2DError, match=r"big5\.srt: byte \d+ is not UTF-8; save the file as UTF-8"):
        read_captions(tmp_path / "big5.srt")


def test_a_file_without_captions_is_reported_and_a_huge_one_is_not_read(tmp_path):
    (tmp_path / "a.vtt").write_text("<html>not found</html>")
    with pytest.raises(K2DError, match="expected SRT or WebVTT"):
        read_captions(tmp_path / "a.vtt")
    with (tmp_path / "b.vtt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(K2DError, match="is it a captions file"):
        read_captions(tmp_path / "b.vtt")
    (tmp_path / "c.vtt").write_text("WEBVTT\n")
    assert read_captions(tmp_path / "c.vtt").cues == []


words = st.text("我們aB 好", min_size=1, max_size=8).filter(str.strip)
segments = st.lists(
    st.builds(lambda a, b, t: Segment(a, a + b, t), st.floats(0, 90), st.floats(0.2, 9), words), max_size=9
)


@given(segments)
@pytest.mark.parametrize("kind", ["srt", "vtt"])
@pytest.mark.slow
def test_subtitles_of_k2d_are_read_as_they_were_written(kind, spoken):
    """The output of subtitles.py is restored. Cues of several lines, which could be read as rolling, are not tested."""
    written = FORMATS[kind](Hypothesis("r", 100.0, tuple(sorted(spoken, key=lambda s: s.start_s)), ()))
    made = parse_captions(written)
    assert " ".join(cue.text for cue in made.cues) == " ".join(
        " ".join(s.text.split()) for s in sorted(spoken, key=lambda s: s.start_s)
    )


@given(st.text("WEBVTT:.,->0129\n <>[]好♪", max_size=300))
def test_any_text_is_read_and_each_cue_is_counted(text):
    made = parse_captions(text)
    assert made.n_in == len(made.cues) + made.n_merged + made.dropped.total()
    assert all(cue.start_s < cue.end_s and cue.text for cue in made.cues)
    assert all(a.end_s <= b.start_s for a, b in pairwise(made.cues))
