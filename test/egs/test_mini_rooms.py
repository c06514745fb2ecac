"""Noise, echo, events and level follow the plan, measured on a known signal."""

from dataclasses import replace

import numpy as np
import pytest

from egs.mini import rooms
from egs.mini.render import mixed
from egs.mini.units import Event, Line, Recording, Scene
from egs.mini.voices import Voice


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_the_noise_is_as_far_below_speech_as_configured(snr_db):
    words = speech_like(3.0)
    line = Line("a", Voice("m1", 50, 170), 170, "x", 2.0)
    recording = Recording("r", "", Scene(snr_db, 0.0, -26.0, 7), (line,), 1.0)
    mix, (span,) = mixed(recording, [words])
    assert (span.start_s, span.end_s, len(mix)) == (2.0, 5.0, 6 * 16000)
    noise = rooms.rms(mix[: 2 * 16000])
    both = rooms.rms(mix[2 * 16000 : 5 * 16000])
    speech = np.sqrt(both**2 - noise**2)
    assert 20 * np.log10(speech) == pytest.approx(-26.0, abs=0.3)
    assert 20 * np.log10(speech / noise) == pytest.approx(snr_db, abs=0.5)


@pytest.mark.parametrize("kind", ["applause", "music"])
def test_an_event_is_only_in_its_pause(kind):
    line = Line("a", Voice("m1", 50, 170), 170, "x", 4.0, Event(kind, 3.0))
    recording = Recording("r", "", Scene(40.0, 0.0, -26.0, 7), (line,), 1.0)
    mix, (span,) = mixed(recording, [speech_like(1.0)])
    assert span.start_s == 4.0
    event, after = rooms.rms(mix[round(0.2 * 16000) : round(3.2 * 16000)]), rooms.rms(mix[round(3.3 * 16000) : 63000])
    assert -40 < 20 * np.log10(event) < -26
    assert after < 0.05 * event


def test_an_echo_continues_after_speech_and_decays():
    line = Line("a", Voice("m1", 50, 170), 170, "x", 0.5)
    dry = Recording("r", "", Scene(80.0, 0.0, -26.0, 7), (line,), 1.0)
    wet = replace(dry, scene=replace(dry.scene, reverb_s=0.5))
    tails = [rooms.rms(mixed(recording, [speech_like(1.0)])[0][24000:25600]) for recording in (dry, wet)]
    assert tails[1] > 20 * tails[0]
    late = rooms.rms(mixed(wet, [speech_like(1.0)])[0][24000 + 6400 : 24000 + 8000])
    assert 20 * np.log10(late / tails[1]) < -30  # 0.4 of 0.5 s later: about 48 dB lower


def test_nothing_is_clipped():
    loud = speech_like(1.0)
    loud[100] = 40.0  # a click far above the speech
    line = Line("a", Voice("m1", 50, 170), 170, "x", 0.1)
    mix, _ = mixed(Recording("r", "", Scene(20.0, 0.2, -10.0, 7), (line,), 0.1), [loud])
    assert np.abs(mix).max() == pytest.approx(rooms.PEAK, abs=1e-3)


def speech_like(duration_s: float) -> rooms.Samples:
    """Noise whose level rises four times a second."""
    n = round(duration_s * 16000)
    swell = 1 + np.sin(2 * np.pi * 4 * np.arange(n) / 16000)
    return (np.random.default_rng(0).standard_normal(n) * swell * 0.1).astype(np.float32)
