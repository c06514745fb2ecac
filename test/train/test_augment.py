"""Noise, echo and loudness have their configured effect, and nothing else is random."""

import numpy as np
import pytest
from train_pool import RATE_HZ, make_pool

from k2d.config.training import Augment
from k2d.train.augment import Augmenter, add_echo, add_noise

SPEECH = np.sin(np.arange(1500) / 3).astype(np.float32) * np.float32(0.3)


def energy_db(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)))


@pytest.mark.parametrize("snr_db", [-3.0, 0.0, 20.0])
def test_noise_has_the_requested_level(snr_db):
    noise = np.random.default_rng(0).standard_normal(1500).astype(np.float32)
    mixed = add_noise(SPEECH, noise, snr_db)
    assert energy_db(SPEECH) - energy_db(mixed - SPEECH) == pytest.approx(snr_db, abs=1e-3)


@pytest.mark.parametrize(("speech", "noise"), [(SPEECH, np.zeros_like(SPEECH)), (np.zeros_like(SPEECH), SPEECH)])
def test_no_noise_is_added_to_or_taken_from_silence(speech, noise):
    assert np.array_equal(add_noise(speech, noise, 10.0), speech)


def test_an_echo_begins_later_and_is_no_louder():
    click = np.zeros(1000, np.float32)
    click[100] = 0.5
    echoed = add_echo(np.random.default_rng(0), click, RATE_HZ)
    assert np.flatnonzero(echoed)[0] == 100
    assert 2 <= len(np.flatnonzero(echoed)) <= 7
    assert np.flatnonzero(echoed)[-1] <= 100 + 120
    assert np.abs(echoed).argmax() == 100
    assert energy_db(echoed) == pytest.approx(energy_db(click), abs=1e-3)


def test_without_settings_nothing_changes():
    augment = Augmenter(Augment(gain_db=0.0, noise=0.0, echo=0.0), make_pool())
    assert np.array_equal(augment(np.random.default_rng(0), SPEECH), SPEECH)


def test_a_sample_depends_on_its_generator_alone_and_stays_in_range():
    augment = Augmenter(Augment(gain_db=20.0, noise=1.0, echo=1.0, snr_db=(-5.0, 5.0)), make_pool())
    made = [augment(np.random.default_rng(seed), SPEECH) for seed in range(30)]
    again = [augment(np.random.default_rng(seed), SPEECH) for seed in reversed(range(30))]
    assert all(np.array_equal(a, b) for a, b in zip(made, reversed(again), strict=True))
    assert all(np.abs(m).max() <= 1 and m.dtype == np.float32 and len(m) == len(SPEECH) for m in made)
    assert len({m.tobytes() for m in made}) == 30


def test_pink_noise_has_as_much_in_each_octave():
    augment = Augmenter(Augment(noise=1.0), make_pool())
    white, pink = augment._bank
    for noise, per_octave_db in ((white, 3.0), (pink, 0.0)):
        power = np.abs(np.fft.rfft(noise)) ** 2
        octaves = [10 * np.log10(power[2**k : 2 ** (k + 1)].sum()) for k in range(12, 19)]
        assert np.diff(octaves).mean() == pytest.approx(per_octave_db, abs=0.3)
