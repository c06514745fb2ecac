"""Ninety seconds with captions, cut as in the paper and as in its authors' code: borders worked out by hand."""

import pytest
from made_recordings import sound

from k2d.data.chunks import pack
from k2d.data.rows import Hypothesis, Segment

CUES = [
    ("00:00.500 --> 00:09.000", "甲"),
    ("00:09.500 --> 00:18.000", "乙"),
    ("00:18.000 --> 00:27.000", "丙"),
    ("00:28.500 --> 00:36.000", "丁"),
    ("00:40.000 --> 00:52.000", "戊"),
    ("00:55.000 --> 01:09.000", "己"),
    ("01:10.500 --> 01:12.000", "庚"),
    ("01:25.000 --> 01:29.500", "辛"),
]
SUM = [  # 8.5 + 8.5 + 9 s, 7.5 + 12 s, 14 + 1.5 + 4.5 s; what comes next would go over 30
    (0.5, 27.0, "<0.00>甲<8.50><8.50>乙<17.00><17.00>丙<26.00>"),
    (28.5, 52.0, "<0.00>丁<7.50><7.50>戊<19.50>"),
    (55.0, 89.5, "<0.00>己<14.00><14.00>庚<15.50><15.50>辛<20.00>"),
]
AUTHORS = [  # 30 s of the clock each, from 0; then from where the cue starts that did not end within them
    (0.0, 30.0, "<0.50>甲<9.00><9.50>乙<18.00><18.00>丙<27.00><28.50>"),
    (28.5, 58.5, "<0.00>丁<7.50><11.50>戊<23.50><26.50>"),
    (55.0, 85.0, "<0.00>己<14.00><15.50>庚<17.00>"),
    (85.0, 90.0, "<0.00>辛<4.50>"),  # their code forgets the last one of a file
]


@pytest.mark.parametrize(("duration", "chunks"), [("sum", SUM), ("authors", AUTHORS)])
@pytest.mark.slow
def test_a_captioned_recording_in_chunks_of_thirty_seconds(root, rows, duration, chunks):
    sound(root / "talk.wav", 90.0)
    (root / "talk.vtt").write_text("WEBVTT\n\n" + "".join(f"{times}\n{text}\n\n" for times, text in CUES))
    segments = tuple(Segment(row.start_s, row.end_s, row.text) for row in rows()["test"])
    packed = pack(Hypothesis("talk", 90.0, segments, ()), 30.0, duration)
    assert [(chunk.start_s, chunk.end_s, chunk.text) for chunk in packed.chunks] == chunks
    assert packed.rejected == ()
