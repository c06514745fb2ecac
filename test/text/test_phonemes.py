"""Phonemes of mixed text: results by hand, the treatment of unknown words, memory and cache."""

import multiprocessing

import pytest
from growth import grows_linearly
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.core.errors import K2DError
from k2d.text import english, phonemes
from k2d.text.normalise import Normaliser
from k2d.text.phonemes import Phonemiser
from k2d.text.tokenise import token_texts


@pytest.fixture(scope="session")
def phonemiser():
    return Phonemiser()


def spoken(phonemiser, text):
    return " ".join(phonemiser.phonemes(token_texts(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我们用 model", "ㄨ ㄛ ㄇ ㄣ ㄩ ㄥ m ɑ d ə l"),
        ("校长的 长度", "ㄒ ㄧ ㄠ ㄓ ㄤ ㄉ ㄜ ㄔ ㄤ ㄉ ㄨ"),  # polyphones, across a space too
        ("嗯", "ㄣ"),
        ("don't", "d oʊ n t"),
        ("don’t", "d oʊ n t"),
        ("gpu GPU", "d͡ʒ i p i j u " * 2),
        ("g p u", "d͡ʒ i p i j u"),  # spelt or spoken letter by letter: the same sounds
        ("softmax", "s ɔ f t m æ k s"),  # by the model
        ("naïve café", "n aɪ i v k æ f eɪ"),
        ("3.14", "ㄙ ㄢ ㄧ ㄙ"),
        ("三一四", "ㄙ ㄢ ㄧ ㄙ"),
        ("2021", "ㄦ ㄌ ㄧ ㄥ ㄦ ㄧ"),
        ("第3课", "ㄉ ㄧ ㄙ ㄢ ㄎ ㄜ"),
        ("covid-19", "k oʊ v ɪ d ㄧ ㄐ ㄧ ㄡ"),
        ("mp3", "ɛ m p i ㄙ ㄢ"),
        ("ひカ мир", "ひ カ м и р"),  # each character for itself
        ("々", "々"),
        ("𠀀", "ㄏ ㄜ"),
        ("😀，", ""),
        ("", ""),
    ],
)
def test_golden(phonemiser, text, expected):
    assert spoken(phonemiser, text) == expected.strip()


def test_drop_works_as_in_the_authors_code(tmp_path):
    dropping = Phonemiser("drop")
    assert spoken(dropping, "我 softmax gpu 3 ひ model") == "ㄨ ㄛ m ɑ d ə l"
    assert dropping.unknown == {"softmax", "gpu", "3", "ひ"}


def test_guesses_for_unknown_words_are_cached():
    phonemiser = Phonemiser()
    phonemiser.phonemes(token_texts("我 model softmax 42 softmax ひ"))
    assert phonemiser.unknown == {"softmax", "42", "ひ"}


def test_the_users_lexicon_has_priority(tmp_path):
    lexicon = tmp_path / "lexicon.tsv"
    lexicon.write_text("Model\tM AO1\nsoftmax\tS M\n")
    for policy in ("letters", "drop"):
        phonemiser = Phonemiser(policy, lexicon)
        assert spoken(phonemiser, "model softmax the") == "M AO S M ð ə"
        assert phonemiser.unknown == set()
    lexicon.write_text("bad")
    with pytest.raises(K2DError, match=r"lexicon.tsv:1: found 'bad'"):
        Phonemiser(lexicon=lexicon).phonemes(["model"])


def test_the_signature_contains_all_settings(tmp_path):
    lexicon = tmp_path / "lexicon.tsv"
    lexicon.write_text("model\tM\n")
    one = Phonemiser(lexicon=lexicon).signature
    lexicon.write_text("model\tN\n")
    lines = [Phonemiser().signature, Phonemiser("drop").signature, one, Phonemiser(lexicon=lexicon).signature]
    assert len(set(lines)) == 4
    assert lines[0].startswith("phonemes-1+pypinyin-")
    assert Phonemiser(cache=tmp_path).signature == lines[0]  # where guesses are kept decides nothing


def test_sounds_have_one_character_for_each_phoneme(phonemiser, lecture_lines):
    normalise = Normaliser()
    for line in lecture_lines[::20]:
        tokens = token_texts(normalise(line))
        assert len(phonemiser.sounds(tokens)) == len(phonemiser.phonemes(tokens))
    assert phonemiser.sounds(["judge"]) != phonemiser.sounds(["dudge"])


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_text_has_phonemes_and_they_are_reproducible(phonemiser, any_text, data):
    tokens = token_texts(Normaliser()(data.draw(any_text)))
    found = phonemiser.phonemes(tokens)
    assert found == phonemiser.phonemes(tokens)
    assert len(found) >= len([token for token in tokens if token])  # each token has a sound
    assert all(found)


def test_guesses_are_kept_on_disk(tmp_path, monkeypatch):
    assert spoken(Phonemiser(cache=tmp_path), "softmax") == "s ɔ f t m æ k s"
    monkeypatch.setattr(english, "guess", None)
    assert spoken(Phonemiser(cache=tmp_path), "softmax") == "s ɔ f t m æ k s"
    with pytest.raises(TypeError):
        Phonemiser().phonemes(["softmax"])


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(phonemes, "_MAX_WORDS", 50)
    phonemiser = Phonemiser()
    for number in range(500):
        assert phonemiser.sounds([str(number)])
        assert len(phonemiser._words) <= 50


@pytest.mark.slow
def test_a_phonemiser_can_be_sent_to_another_process(phonemiser):
    phonemiser.phonemes(["softmax"])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(phonemiser.phonemes, (["软", "model"],)) == ["ㄖ", "ㄨ", "ㄢ", "m", "ɑ", "d", "ə", "l"]


@pytest.mark.parametrize("piece", ["谢谢大家", "a", "1", "长", "长度 a ", "model ", "ひ"])
@pytest.mark.slow
def test_the_work_grows_as_a_loop_of_tokens_does(phonemiser, piece):
    assert grows_linearly(lambda n: phonemiser.phonemes(token_texts(piece * n)), 1_000)
