"""The counts of stage 6, worked out by hand from two recordings."""

from k2d.data.chunk_audio import Labelled
from k2d.data.chunk_tally import Tally
from k2d.data.chunks import pack
from k2d.data.rows import Hypothesis, Segment


def labelled(recording_id, *segments):
    hypothesis = Hypothesis(recording_id, 60.0, tuple(segments), ())
    return Labelled(hypothesis, f"{recording_id}.wav", pack(hypothesis, 10.0))


def tally_of(*found):
    tally = Tally(10.0)
    for each in found:
        tally.add(each)
    return tally


TALK = labelled(
    "talk",
    Segment(1.0, 4.0, "甲"),
    Segment(4.0, 9.03, "乙"),  # with the one before it a chunk of 8.03 s
    Segment(9.0, 12.0, "丙", loop=True),  # begins before the end of the one before: moved by 0.03 s, a chunk of 2.97 s
    Segment(30.0, 40.0, "丁"),  # as long as a window
    Segment(45.0, 45.0, "戊"),  # without any duration: rejected
)
SILENCE = labelled("silence")


def test_the_counts_of_two_recordings_by_hand():
    assert tally_of(TALK, SILENCE).as_json() == {
        "recordings": {"in": 2, "with_chunks": 1},
        "segments": {"in": 5, "kept": 4, "moved": 1},
        "chunks": {"n": 3, "hours": 0.005833, "with_loop": 1, "continued": 0},  # 21 s
        "chunks_by_length": {f"from {n} s": {2: 1, 8: 1, 9: 1}.get(n, 0) for n in range(10)},
    }


def test_the_summary_gives_the_mean_of_all_chunks():
    assert str(tally_of(TALK)) == "3 chunks, 0.01 h, 7.0 s on average"
    assert str(tally_of(SILENCE)) == "0 chunks, 0.00 h, 0.0 s on average"
