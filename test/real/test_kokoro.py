"""Kokoro-82M speaks: a short sentence in both languages, once the network is loaded."""

import numpy as np
import pytest

from egs.mini.kokoro.model import Kokoro, style
from egs.mini.kokoro.voices import ALLOTMENTS
from egs.mini.rooms import rms
from egs.mini.voices import Voice

TEXT = "這個 gene 很小"
SPEED_WPM = 175


@pytest.fixture(scope="module")
def kokoro(voices) -> Kokoro:
    return Kokoro(voices)


@pytest.fixture(scope="module")
def sentence(kokoro) -> tuple[np.ndarray, float]:
    return kokoro.say(TEXT, Voice("xiaoyi-sky", 50, SPEED_WPM), SPEED_WPM)


def test_a_sentence_is_as_long_as_a_person_would_take(sentence):
    samples, rate = sentence
    assert rate == 24000
    assert samples.dtype == np.float32
    assert 0.1 < np.abs(samples).max() < 1.0
    loud = np.flatnonzero(np.abs(samples) > 0.003) / rate
    assert 0.7 < loud[-1] - loud[0] < 2.5  # four characters and a word
    assert rms(samples[:2400]) < 0.01 * rms(samples)


def test_the_same_sentence_is_the_same_in_one_process(kokoro, sentence):
    """So a unit is the same however often it is made, and whatever was synthesised before."""
    kokoro.say("好", Voice("yunxia", 45, SPEED_WPM), SPEED_WPM)
    again, _ = kokoro.say(TEXT, Voice("xiaoyi-sky", 50, SPEED_WPM), SPEED_WPM)
    assert np.array_equal(again, sentence[0])


def test_every_speaker_has_its_rows(voices):
    rows = {variant: style(voices, variant) for a in ALLOTMENTS.values() for variant in a.variants}
    assert all(each.shape == (510, 1, 256) and np.isfinite(each).all() for each in rows.values())
    distinct = {each.tobytes() for each in rows.values()}
    assert len(distinct) == len(rows) > 30
