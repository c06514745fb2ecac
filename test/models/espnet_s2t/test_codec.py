"""The codec of ESPnet S2T models: text to ids and back, prompts, and the segments of a window's ids."""

import pickle
import subprocess
import sys
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models_made import MINI, OWSM, TEXTS, made_codec, made_vocabulary

from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.models.codec import Reading, Request, WindowSegment
from k2d.models.espnet_s2t.codec import S2TCodec
from k2d.models.espnet_s2t.vocabulary import layout_of, preprocessor_conf, time_symbols


@cache
def codec(window=MINI):
    return made_codec(window)


def tokens(ids):
    return [codec().tokens[i] for i in ids]


def id_of(token):
    return codec().id_of(token)


def a_time(time_s):
    return codec().first_time_id + round(time_s * 10)


WORD = st.sampled_from(" ".join(TEXTS).split())
PHRASE = st.lists(WORD, min_size=1, max_size=4).map(" ".join)


@st.composite
def timed_texts(draw):
    """A timed text in canonical form, on the grid of 0.1 s."""
    phrases = draw(st.lists(PHRASE, max_size=4))
    steps = sorted(draw(st.lists(st.integers(0, 100), min_size=2 * len(phrases), max_size=2 * len(phrases))))
    pairs = zip(steps[::2], steps[1::2], phrases, strict=True)
    return "".join(f"<{a / 10:.2f}>{phrase}<{b / 10:.2f}>" for a, b, phrase in pairs)


@given(timed_texts())
def test_a_timed_text_is_restored_from_its_ids(text):
    assert codec().timed_text(codec().ids(text)) == text


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="<▁"), max_size=20))
def test_any_character_is_restored_even_if_no_training_text_had_it(word):
    assert codec().text(codec().ids(f"我 {word} today")) == f"我 {word} today".replace("  ", " ")


def test_text_follows_its_time_after_a_space():
    ids = codec().ids("<0.00>hello world<1.20><1.50>你 know<2.00>")
    assert tokens(ids)[0] == "<0.00>"
    assert "".join(tokens(ids)) == "<0.00>▁hello▁world<1.20><1.50>▁你▁know<2.00>"
    assert codec().ids("<0.00> hello world <1.20><1.50>  你  know<2.00>") == ids


def test_every_time_has_its_own_id_and_other_times_go_to_the_nearest():
    assert [codec().ids(symbol) for symbol in time_symbols(MINI)] == [[a_time(n / 10)] for n in range(101)]
    assert codec().ids("<0.04>hello<1.26>")[0] == a_time(0.0)
    assert codec().ids("<0.04>hello<1.26>")[-1] == a_time(1.3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<0.00>hello<10.20>", "timestamp <10.20> lies beyond the window of 10 s"),
        ("<2.00>hello<1.00>", "timestamps go backwards: <1.00> follows <2.00> in '<2.00>hello<1.00>'"),
        ("<0.00>hello <na> you<1.00>", "holds <na>, which is a symbol of the model"),
    ],
)
def test_bad_labels_are_refused_by_name(text, message):
    with pytest.raises(K2DError, match=message):
        codec().ids(text)


def test_a_label_is_prompt_text_and_end():
    ids, n_prompt = codec().label("<0.00>hello<1.20>", Request())
    assert "".join(tokens(ids)) == "<sos><zho><asr><0.00>▁hello<1.20><eos>"
    assert n_prompt == 3
    ids, n_prompt = codec().label("<0.00>hello<1.20>", Request(("eng",), timestamps=False), "你 know")
    assert "".join(tokens(ids)) == "<sop>▁你▁know<sos><eng><asr><notimestamps>▁hello<eos>"
    assert "".join(tokens(ids[:n_prompt])) == "<sop>▁你▁know<sos><eng><asr><notimestamps>"
    assert codec().label("", Request()) == ([id_of("<sos>"), id_of("<zho>"), id_of("<asr>"), id_of("<eos>")], 3)
    with pytest.raises(K2DError, match="'hello' does not start with one"):
        codec().label("hello", Request())


def test_a_sequence_is_the_label_from_ids():
    ids, before = codec().ids("<0.00>hello 你<1.20>"), codec().ids("你 know")
    for request in (Request(), Request(("eng",), timestamps=False)):
        wanted = codec().label("<0.00>hello 你<1.20>", request, "你 know")
        assert codec().sequence(ids, request, before) == wanted


def test_two_codecs_of_one_vocabulary_can_split_texts_differently():
    """The same tokens in a sentencepiece model of type unigram, which splits texts at other places."""
    names, model = made_vocabulary()
    before, kind, behind = model.rpartition(b"\x18\x02")
    assert kind, "the field that says bpe"
    other = S2TCodec(names, before + b"\x18\x01" + behind, codec().layout, "zho")
    assert other.ids(TEXTS[0]) != codec().ids(TEXTS[0])
    assert other.vocabulary_hash == codec().vocabulary_hash
    assert made_codec().spelling_hash == codec().spelling_hash != other.spelling_hash


def test_a_prompt_has_one_language_of_the_model():
    with pytest.raises(UsageError, match=r"'fra' is not one of this model's \(zho, eng, …\)"):
        codec().prompt(Request(("fra",)))
    with pytest.raises(UsageError, match="takes one language, found zho, eng"):
        codec().prompt(Request(("zho", "eng")))
    with pytest.raises(UsageError, match="knows several languages"):
        made_codec(language=None).prompt(Request())


def test_special_tokens_are_not_part_of_the_text():
    ids = [id_of("<zho>"), *codec().ids("<0.00>hello<1.20>"), id_of("<unk>"), id_of("<eos>")]
    assert codec().text(ids) == "hello"
    assert codec().timed_text(ids) == "<0.00>hello<1.20>"


def test_bytes_cannot_break_a_line():
    spelt = [*codec().ids("hello"), id_of("<0x0A>"), *codec().ids("you")]
    assert codec().text(spelt) == "hello  you"


def reading(*parts, audio_s=10.0):
    """Read a window that is given as times (float) and words (str)."""
    ids = [token for part in parts for token in ([a_time(part)] if isinstance(part, float) else codec().ids(part))]
    return codec().read(ids, audio_s)


def segment(start_s, end_s, words):
    return WindowSegment(start_s, end_s, tuple(codec().ids(words)))


def test_times_in_pairs_are_segments_and_the_last_end_is_the_advance():
    assert reading(0.0, "hello", 1.2, 1.5, "world", 2.4) == Reading(
        (segment(0.0, 1.2, "hello"), segment(1.5, 2.4, "world")), 2.4
    )


def test_a_last_segment_that_ends_with_the_window_is_decoded_again_from_its_start():
    whole = segment(0.0, 5.0, "hello")
    assert reading(0.0, "hello", 5.0, 6.2, "world", 9.1) == Reading((whole,), 6.2)
    assert reading(0.0, "hello", 5.0, 6.2, "world", 9.0).advance_s == 9.0  # not later than the threshold
    assert reading(0.0, "hello", 9.8) == Reading((segment(0.0, 9.8, "hello"),), 9.8)  # the only one


def test_a_start_without_end():
    assert reading(0.0, "hello", 5.0, 6.2, "world") == Reading((segment(0.0, 5.0, "hello"),), 6.2)
    assert reading(0.4, "hello", audio_s=3.0) == Reading((segment(0.4, 3.0, "hello"),), None)


def test_without_times_a_text_has_the_length_of_the_audio():
    assert reading("hello world", audio_s=7.5) == Reading((segment(0.0, 7.5, "hello world"),), None)
    assert reading() == Reading((), None)
    assert reading(0.0, 4.0) == Reading((), 4.0)


def test_no_segment_lies_beyond_the_audio():
    assert reading(0.0, "hello", 1.2, 5.0, "world", 6.0, audio_s=1.0).segments == (
        segment(0.0, 1.0, "hello"),
        segment(1.0, 1.0, "world"),
    )


def test_the_window_of_owsm_has_its_threshold_at_29_seconds():
    owsm = codec(OWSM)
    at = owsm.first_time_id
    two = [at, *owsm.ids("hello"), at + 500, at + 600, *owsm.ids("world")]
    assert owsm.read([*two, at + 1450], 30.0).advance_s == 29.0
    assert owsm.read([*two, at + 1451], 30.0).advance_s == 12.0


@given(
    st.lists(st.one_of(st.integers(0, 101).map(lambda n: codec().first_time_id + n), st.integers(0, 400))), st.data()
)
def test_any_ids_can_be_read(ids, data):
    audio_s = data.draw(st.floats(0.2, 10.0))
    read = codec().read([i % len(codec().tokens) for i in ids], audio_s)
    assert all(s.start_s <= audio_s and s.end_s <= audio_s and s.ids for s in read.segments)
    assert read.advance_s is None or 0 <= read.advance_s <= 10.0


def test_equal_vocabularies_have_the_same_hash():
    assert made_codec().vocabulary_hash == codec().vocabulary_hash
    assert codec(OWSM).vocabulary_hash != codec().vocabulary_hash
    assert codec(OWSM).n_tokens - codec().n_tokens == 1501 - 101


def test_a_codec_can_be_sent_to_other_processes():
    sent = pickle.loads(pickle.dumps(codec()))  # noqa: S301 - our own
    assert sent.ids("<0.00>hello<1.00>") == codec().ids("<0.00>hello<1.00>")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda names: [*names, names[9]], "a token occurs twice"),
        (lambda names: [n for n in names if n != "<sop>"], "it lacks <sop>"),
        (lambda names: [n for n in names if n != "<3.10>"], "expected the timestamps <0.00> … <10.00> in a row"),
        (lambda names: [n for n in names if n != "▁park"], r"1 of the sentencepiece model's pieces .* \(▁park\)"),
    ],
)
def test_tokens_that_do_not_fit_the_pieces_or_the_window_are_refused(change, message):
    names, model = made_vocabulary()
    layout = layout_of({"preprocessor_conf": preprocessor_conf(MINI)})
    with pytest.raises(K2DError, match=message):
        S2TCodec(change(names), model, layout)


def test_the_codec_needs_no_torch():
    code = "import sys, k2d.models.espnet_s2t.codec, k2d.models.espnet_s2t.pieces; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True)
