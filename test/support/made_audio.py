"""Audio for tests: speech-like signals, WAV files byte by byte, and a check that crashes on one file."""

import ctypes
import struct
from pathlib import Path

import numpy as np
import soundfile

from k2d.data.audio import AudioCheck, AudioSource, check


def speechlike(duration_s: float, rate_hz: int = 16_000, seed: int = 0) -> np.ndarray:
    """A harmonic tone with moving pitch and syllables, and a little noise."""
    n = round(duration_s * rate_hz)
    time_s = np.arange(n) / rate_hz
    phase = 2 * np.pi * np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.7 * time_s)) / rate_hz
    voice = sum(np.sin(k * phase) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3.7 * time_s), 0, None)
    noise = np.random.default_rng(seed).standard_normal(n)
    return (0.2 * voice * syllables + 0.01 * noise).astype(np.float32)


def write_audio(path: Path, samples: np.ndarray, rate_hz: int = 16_000, **how: object) -> Path:
    """Write with libsndfile in blocks, because one long call would crash its Vorbis encoder."""
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", rate_hz, n_channels, **how) as file:
        for at in range(0, len(samples), rate_hz):
            file.write(samples[at : at + rate_hz])
    return path


def wav_bytes(
    n_frames: int = 8_000,
    *,
    rate_hz: int = 16_000,
    n_channels: int = 1,
    riff_size: int | None = None,
    data_size: int | None = None,
    after: bytes = b"",
) -> bytes:
    """A PCM16 WAV file (a ramp), with its size fields as given; `after` follows the data."""
    body = (np.arange(n_frames * n_channels) % 2_000).astype("<i2").tobytes()
    byte_rate = rate_hz * n_channels * 2 & 0xFFFFFFFF
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, n_channels, rate_hz, byte_rate, n_channels * 2, 16)
    data_chunk = b"data" + struct.pack("<I", len(body) if data_size is None else data_size) + body + after
    inner = b"WAVE" + format_chunk + data_chunk
    return b"RIFF" + struct.pack("<I", len(inner) if riff_size is None else riff_size) + inner


def check_or_die(source: AudioSource) -> AudioCheck:
    """As `check`, but a file named poison.* kills the process by SIGSEGV."""
    if source.path.stem == "poison":
        ctypes.string_at(0)
    return check(source)
