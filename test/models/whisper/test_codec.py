"""Timestamped text and ids; segments as `whisper.transcribe` makes them."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from whisper_made import ENGLISH, TINY, V3

from k2d.core.errors import K2DError, UsageError
from k2d.models.codec import Request
from k2d.models.whisper.codec import WhisperCodec

CODEC = WhisperCodec(TINY, ("zh",))
T = CODEC.first_time_id


@pytest.mark.slow
def test_text_is_written_as_whisper_writes_it():
    words = CODEC.tokenizer.encode
    assert CODEC.ids("<0.00>hello 你好<1.20>") == [T, *words(" hello 你好"), T + 60]
    assert CODEC.ids("<0.00>你好 world<1.20>") == [T, *words("你好 world"), T + 60]
    assert CODEC.ids(" 你好 ") == words("你好")
    assert CODEC.ids("<29.98><30.00>") == [T + 1499, T + 1500]
    assert CODEC.ids("<1.009>") == [T + 50]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1500),
            st.sampled_from(["我們 today", "hello", "park 玩", "3 個", "x = <y>", "don't", "好", "<|zh|>"]),
        ),
        max_size=6,
    )
)
def test_timed_text_is_converted_there_and_back(parts):
    steps = sorted(step for step, _ in parts)
    timed = "".join(f"<{step / 50:.2f}>{text}" for step, (_, text) in zip(steps, parts, strict=True))
    assert CODEC.timed_text(CODEC.ids(timed)) == timed
    assert all(token < CODEC.eos_id or token >= T for token in CODEC.ids(timed))


def test_bad_labels_are_refused():
    with pytest.raises(K2DError, match=r"<30\.02> lies beyond the window"):
        CODEC.ids("<0.00>a<30.02>")
    with pytest.raises(K2DError, match=r"timestamps go backwards: <1\.00> follows <2\.00>"):
        CODEC.ids("<2.00>a<1.00>")
    with pytest.raises(K2DError, match="expected a label that begins with a timestamp, found "):
        CODEC.label("hello", Request())
    with pytest.raises(K2DError, match="expected at most 448"):
        CODEC.label("<0.00>" + "a b c d " * 200 + "<1.00>", Request())


def test_a_label_has_its_prompt_and_its_end():
    sot, task, no_times = 50_258, 50_359, 50_363
    ids, n_prompt = CODEC.label("<0.00>hi<1.00>", Request())
    assert (ids[:3], n_prompt, ids[-1]) == ([sot, 50_260, task], 3, 50_257)
    ids, n_prompt = CODEC.label("<0.00>hi<1.00>", Request(("en",), timestamps=False))
    assert ids == [sot, 50_259, task, no_times, *CODEC.ids("hi"), 50_257]
    assert n_prompt == 4
    ids, n_prompt = CODEC.label("<0.00>hi<1.00>", Request(), "so far")
    assert ids[:n_prompt] == [50_361, *CODEC.ids("so far"), sot, 50_260, task]


def test_a_label_without_words_needs_no_language():
    codec, time_0 = WhisperCodec(CODEC._dims), CODEC.ids("<0.00>")[0]
    assert codec.label("<0.00>", Request()) == ([50_258, 50_258, 50_359, time_0, 50_257], 3)
    assert codec.label("", Request(timestamps=False)) == ([50_258, 50_258, 50_359, 50_363, 50_257], 4)
    assert CODEC.label("<0.00>", Request())[0][1] == 50_260, "a language that the config names is in the prompt"


def test_a_sequence_is_the_label_from_ids():
    ids, before = CODEC.ids("<0.00>hi 你好<1.00>"), CODEC.ids("so far " * 200)
    for request in (Request(), Request(("en",), timestamps=False)):
        assert CODEC.sequence(ids, request, before) == CODEC.label("<0.00>hi 你好<1.00>", request, "so far " * 200)


def test_previous_text_is_cut_at_its_start_if_it_is_long():
    ids, n_prompt = CODEC.label("<0.00>hi<1.00>", Request(), "word " * 400)
    assert n_prompt == 1 + 223 + 3
    ids, n_prompt = CODEC.label("<0.00>" + "hi " * 300 + "<1.00>", Request(), "word " * 400)
    assert len(ids) == 448


def test_the_other_vocabularies_have_their_own_prompts():
    english, v3 = WhisperCodec(ENGLISH), WhisperCodec(V3, ("yue",))
    assert english.label("", Request()) == ([50_257, 50_256], 1)
    assert v3.label("", Request())[0] == [50_258, 50_358, 50_360, 50_257]
    assert len({codec.vocabulary_hash for codec in (CODEC, english, v3)}) == 3
    assert (english.first_time_id, v3.first_time_id) == (50_363, 50_365)


def test_a_label_without_its_language_is_refused():
    guessing = WhisperCodec(TINY)
    with pytest.raises(UsageError, match="needs its language in the prompt"):
        guessing.label("<0.00>hi<1.00>", Request())
    assert guessing.label("", Request())[1] == 3, "how long a prompt is can be asked without"


def test_a_codec_can_be_sent_to_other_processes():
    again = pickle.loads(pickle.dumps(CODEC))  # noqa: S301 - our own
    assert again.ids("<0.00>你好<1.00>") == CODEC.ids("<0.00>你好<1.00>")


class TestReading:
    """Whisper's segmentation, worked out by hand: two times in a row are a border."""

    def read(self, timed, audio_s=30.0):
        reading = CODEC.read(CODEC.ids(timed), audio_s)
        return [(s.start_s, s.end_s, CODEC.text(s.ids)) for s in reading.segments], reading.advance_s

    def test_pairs_are_segments_and_the_last_time_is_the_next_start(self):
        timed = "<0.00>你好<1.20><1.50>world<2.40><2.40>"
        assert self.read(timed) == ([(0.0, 1.2, "你好"), (1.5, 2.4, "world")], 2.4)

    def test_an_open_end_is_decoded_again(self):
        assert self.read("<0.00>你好<1.20><1.20>wor") == ([(0.0, 1.2, "你好")], 1.2)

    def test_a_single_time_at_the_end_completes_the_window(self):
        assert self.read("<0.00>你好<1.20><1.50>world<2.40>") == ([(0.0, 1.2, "你好"), (1.5, 2.4, "world")], None)

    def test_one_pair_begins_where_the_window_does(self):
        """As in Whisper: without two times in a row, the segment starts at the window's start."""
        assert self.read("<0.60>你好<1.20>") == ([(0.0, 1.2, "你好")], None)

    def test_without_an_end_a_segment_lasts_to_the_end_of_the_audio(self):
        assert self.read("<0.00>你好", 7.119) == ([(0.0, 7.11, "你好")], None)

    def test_segments_without_text_or_length_are_dropped(self):
        assert self.read("<0.00>你好<1.00><1.00><2.00><2.00>") == ([(0.0, 1.0, "你好")], 2.0)
        assert self.read("") == ([], None)
