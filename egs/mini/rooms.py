"""Everything in a recording besides speech: echo, noise, applause, music, level. Uses numpy alone, with seeds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

SAMPLE_RATE = 16000
PEAK = 0.98  # the upper limit of all samples

_LOOP = 2**19  # samples of noise, which are repeated without a seam (33 s)
_ECHO_DB = -8.0  # the echo's energy below that of the direct sound
_CLAPS_PER_S = 60
_CHORDS_HZ = ((262, 330, 392), (220, 262, 330), (175, 220, 262), (196, 247, 294))


def db(decibels: float) -> float:
    """A ratio of amplitudes.

    >>> db(-20.0)
    0.1
    """
    return float(10.0 ** (decibels / 20.0))


def rms(samples: Samples) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def scaled_to(samples: Samples, level: float) -> Samples:
    """The samples scaled to another root mean square."""
    scaled: Samples = samples * np.float32(level / max(rms(samples), 1e-9))
    return scaled


def echo(reverb_s: float, rng: np.random.Generator) -> Samples:
    """The impulse response of a room: the direct sound, then noise that falls by 60 dB in `reverb_s`."""
    n_samples = round(reverb_s * SAMPLE_RATE)
    if n_samples < 2:
        return np.ones(1, dtype=np.float32)
    time = np.arange(n_samples) / n_samples
    tail = rng.standard_normal(n_samples) * 10.0 ** (-3.0 * time)
    tail *= db(_ECHO_DB) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail.astype(np.float32)


def in_room(samples: Samples, room: Samples) -> Samples:
    """The samples with the room's echo. They become longer by the room's length."""
    if len(room) == 1:
        return samples
    n_samples = len(samples) + len(room) - 1
    n_fft = 1 << (n_samples - 1).bit_length()
    mixed = np.fft.irfft(np.fft.rfft(samples, n_fft) * np.fft.rfft(room, n_fft), n_fft)
    return mixed[:n_samples].astype(np.float32)


def noise(n_samples: int, rng: np.random.Generator) -> Samples:
    """Steady room noise, louder at low frequencies, with a root mean square of about 1."""
    n_loop = min(_LOOP, 1 << max(n_samples - 1, 1).bit_length())
    spectrum = np.fft.rfft(rng.standard_normal(n_loop))
    bins = np.arange(len(spectrum)) * (SAMPLE_RATE / n_loop)
    spectrum *= 1.0 / np.sqrt(np.maximum(bins, 50.0))
    loop = scaled_to(np.fft.irfft(spectrum, n_loop).astype(np.float32), 1.0)
    return np.resize(loop, n_samples)


def applause(n_samples: int, rng: np.random.Generator) -> Samples:
    """Applause of many hands, with a root mean square of 1."""
    n_claps = max(1, round(n_samples / SAMPLE_RATE * _CLAPS_PER_S))
    clicks = np.zeros(n_samples, dtype=np.float32)
    np.add.at(clicks, rng.integers(0, n_samples, n_claps), rng.uniform(0.3, 1.0, n_claps).astype(np.float32))
    clap = rng.standard_normal(400) * np.exp(-np.arange(400) / 60.0)
    return scaled_to(in_room(clicks, clap.astype(np.float32))[:n_samples] * _fade(n_samples), 1.0)


def music(n_samples: int, rng: np.random.Generator) -> Samples:
    """Chords, plucked one after another, with a root mean square of 1."""
    n_beat = SAMPLE_RATE // 2
    time = np.arange(n_beat) / SAMPLE_RATE
    beats = []
    for _ in range(-(-n_samples // n_beat)):
        chord = _CHORDS_HZ[rng.integers(len(_CHORDS_HZ))]
        tones = sum(np.sin(2 * np.pi * hertz * k * time) / k**2 for hertz in chord for k in (1, 2, 3))
        beats.append(tones * np.exp(-3.0 * time))
    return scaled_to(np.concatenate(beats)[:n_samples].astype(np.float32) * _fade(n_samples), 1.0)


def _fade(n_samples: int) -> Samples:
    """A window of 1 with a ramp at both ends."""
    n_slope = min(SAMPLE_RATE // 2, n_samples // 2)
    fade = np.ones(n_samples, dtype=np.float32)
    fade[:n_slope] = np.linspace(0, 1, n_slope, dtype=np.float32)
    fade[n_samples - n_slope :] = np.linspace(1, 0, n_slope, dtype=np.float32)
    return fade
