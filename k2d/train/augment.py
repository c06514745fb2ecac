"""Change a sample's level, noise and echo. This takes a few milliseconds for ten seconds of audio."""

from __future__ import annotations

import numpy as np

from k2d.config.training import Augment
from k2d.train.pool import Pool, Samples

_BANK_SAMPLES = 1 << 20  # noise is cut from a fixed stretch, because drawing it for each sample is slow
_ECHOES = 6
_ECHO_WITHIN_S = 0.12
_N_VOICES = 3


class Augmenter:
    """Makes a sample sound as if recorded elsewhere."""

    def __init__(self, options: Augment, pool: Pool) -> None:
        self._options, self._pool = options, pool
        self._bank = (_white(), _pink()) if options.noise else ()

    def __call__(self, rng: np.random.Generator, speech: Samples) -> Samples:
        """The augmented speech, with the same number of samples, within -1…1."""
        options = self._options
        if rng.random() < options.echo:
            speech = add_echo(rng, speech, self._pool.rate_hz)
        if rng.random() < options.noise:
            speech = add_noise(speech, self._noise(rng, len(speech)), rng.uniform(*options.snr_db))
        gain = np.float32(10 ** (rng.uniform(-options.gain_db, options.gain_db) / 20))
        louder: Samples = np.clip(speech * gain, np.float32(-1), np.float32(1))
        return louder

    def _noise(self, rng: np.random.Generator, n_samples: int) -> Samples:
        kind = int(rng.integers(len(self._bank) + 1))
        if kind == len(self._bank):
            voices: Samples = np.sum([self._pool.anywhere(rng, n_samples) for _ in range(_N_VOICES)], axis=0)
            return voices
        start = int(rng.integers(_BANK_SAMPLES - n_samples))
        return self._bank[kind][start : start + n_samples]


def at_speed(speech: Samples, speed: float) -> Samples:
    """The speech played faster or slower, which also changes its pitch.

    >>> at_speed(np.array([0.0, 1.0, 2.0, 3.0], np.float32), 2.0).tolist()
    [0.0, 2.0]
    """
    if speed == 1.0:
        return speech
    places = np.arange(round(len(speech) / speed)) * speed
    played: Samples = np.interp(places, np.arange(len(speech)), speech).astype(np.float32)
    return played


def add_noise(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """Speech with noise that is `snr_db` quieter, measured by energy."""
    energies = float(np.vdot(speech, speech)), float(np.vdot(noise, noise))
    if not all(energies):
        return speech
    mixed: Samples = speech + noise * np.float32(np.sqrt(energies[0] / energies[1]) * 10 ** (-snr_db / 20))
    return mixed


def add_echo(rng: np.random.Generator, speech: Samples, rate_hz: int) -> Samples:
    """Speech with a few late and weaker copies of itself, at the same level."""
    echoed: Samples = speech.copy()
    for delay_s in rng.uniform(0.003, _ECHO_WITHIN_S, _ECHOES):
        delay = round(delay_s * rate_hz)
        strength = rng.uniform(0.2, 0.7) * 10 ** (-3 * delay_s / (3 * _ECHO_WITHIN_S)) * rng.choice((-1, 1))
        echoed[delay:] += speech[: len(speech) - delay] * np.float32(strength)
    energy = float(np.vdot(echoed, echoed))
    if energy:
        echoed *= np.float32(np.sqrt(float(np.vdot(speech, speech)) / energy))
    return echoed


def _white() -> Samples:
    white: Samples = np.random.default_rng(0).standard_normal(_BANK_SAMPLES, dtype=np.float32)
    return white


def _pink() -> Samples:
    spectrum = np.fft.rfft(_white())
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    pink: Samples = np.fft.irfft(spectrum, _BANK_SAMPLES).astype(np.float32)
    return pink
