"""Decode a recording to its end and report its content. Bounded memory; meant for `k2d.core.workers.run_each`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from k2d.data.audio.decoders import Samples, open_decoder
from k2d.data.audio.probe import AudioInfo, probe
from k2d.data.audio.read import blocks_of
from k2d.data.audio.source import AudioError, AudioSource

FULL_SCALE = 32767 / 32768  # the largest sample of PCM16


@dataclass(frozen=True, slots=True)
class AudioCheck:
    """The facts from decoding the whole recording, over all its channels.

    `sha256` covers rate, channels and samples, so the same audio has the same value in WAV and in FLAC.
    """

    info: AudioInfo
    sha256: str
    peak: float
    clipped_share: float
    is_silent: bool  # every channel is constant: zero, or DC
    n_complaints: int  # how often an MP3 decoder reported damage and continued


def check(source: AudioSource, *, channel: int | None = None) -> AudioCheck:
    """Decode everything. Raises AudioError if the recording is cut off, damaged or contains NaN."""
    info = probe(source, channel=channel)
    digest = hashlib.sha256(f"{info.sample_rate_hz} {info.n_channels} ".encode())
    n_clipped, n_bad = 0, 0
    low, high = np.full(info.n_channels, np.inf), np.full(info.n_channels, -np.inf)
    with open_decoder(source) as decoder:
        for frames in blocks_of(decoder, info.n_frames):
            digest.update(frames.astype("<f4").tobytes())
            n_clipped += _n_clipped(frames)
            n_bad += int(np.count_nonzero(~np.isfinite(frames)))
            low, high = np.minimum(low, frames.min(axis=0)), np.maximum(high, frames.max(axis=0))
    if n_bad:
        message = f"holds {n_bad:,} samples that are no numbers (NaN or infinite)"
        raise AudioError("nan_samples", str(source), message, "make the file again from its source")
    n_samples = info.n_frames * info.n_channels
    return AudioCheck(
        info,
        sha256=digest.hexdigest(),
        peak=float(np.maximum(np.abs(low), np.abs(high)).max()),
        clipped_share=n_clipped / n_samples,
        is_silent=bool((low == high).all()),
        n_complaints=decoder.n_complaints,
    )


def clipped_share(samples: Samples) -> float:
    """The share of samples at or above full scale.

    >>> clipped_share(np.array([0.0, 1.0, -1.5, 0.99], dtype=np.float32))
    0.5
    """
    return _n_clipped(samples) / samples.size if samples.size else 0.0


def _n_clipped(samples: Samples) -> int:
    return int(np.count_nonzero(np.abs(samples) >= FULL_SCALE))
