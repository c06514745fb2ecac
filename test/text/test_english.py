"""English words: the lexicon, the model for other words, and words that are spelt."""

import subprocess
import sys

import pytest

from k2d.text.english import guess, looks_spelt, pronunciation, spelt


@pytest.mark.parametrize(
    ("word", "ipa"),
    [("model", "m ɑ d ə l"), ("don't", "d oʊ n t"), ("the", "ð ə"), ("a", "ə"), ("read", "ɹ i d")],
)
def test_lexicon_gives_the_first_pronunciation_without_stress(word, ipa):
    assert pronunciation(word) == tuple(ipa.split())


def test_the_lexicon_reports_missing_words():
    assert pronunciation("softmax") is None
    assert pronunciation("課") is None
    assert pronunciation("' OR 1=1 --") is None


def test_spelling_names_the_letters():
    assert spelt("gpu") == (*spelt("g"), *spelt("p"), *spelt("u")) == ("d͡ʒ", "i", "p", "i", "j", "u")
    assert spelt("a") == ("eɪ",)  # the letter, not the article
    assert all(spelt(letter) for letter in "abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(
    ("word", "is_spelt"), [("gpu", True), ("ai", True), ("html", True), ("bert", False), ("rhythm", False)]
)
def test_words_that_look_spelt(word, is_spelt):
    assert looks_spelt(word) is is_spelt


@pytest.mark.slow
def test_the_model_reads_unknown_words():
    assert guess("softmax") == ("s", "ɔ", "f", "t", "m", "æ", "k", "s")
    assert guess("overfitting")[-2:] == ("ɪ", "ŋ")


@pytest.mark.slow
def test_nothing_is_printed_while_the_libraries_load():
    code = "from k2d.text.english import guess; import logging; logging.basicConfig(level=0); guess('softmax')"
    done = subprocess.run([sys.executable, "-W", "default", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert "gruut" not in done.stderr
