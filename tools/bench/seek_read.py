"""How much faster is reading a segment by seeking than decoding its whole recording?

    python tools/bench/seek_read.py [--minutes 30] [--segment-s 10] [--pairs 9]

Makes a speech-like recording in each format, then times pairs: `k2d.data.audio.read` of a segment at a random place
(probed beforehand, as the stages do), and a decode of the whole file with the same segment cut out of it. The two are
interleaved, so that other load on the machine affects both. Medians and their ratio are printed. All recordings are at
16 kHz, the output's rate, so that only decoding is measured (also for Opus and MP3).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from k2d.data.audio import RATE_HZ, AudioInfo, AudioSource, probe, read

FORMATS: dict[str, dict[str, str]] = {
    "WAV": {"format": "WAV", "subtype": "PCM_16"},
    "FLAC": {"format": "FLAC", "subtype": "PCM_16"},
    "MP3": {"format": "MP3", "subtype": "MPEG_LAYER_III"},
    "Vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "Opus": {"format": "OGG", "subtype": "OPUS"},
}


def main() -> None:
    options = parse_options()
    print(machine())
    print(f"{options.segment_s:g} s of {options.minutes:g} min, {options.pairs} interleaved pairs, median times\n")
    print("| format |  seek-read | whole decode + slice |   ratio | largest difference |")
    print("|--------|-----------:|---------------------:|--------:|-------------------:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, how in FORMATS.items():
            source = AudioSource(make_recording(Path(folder, name), options.minutes, how))
            print(row(name, source, options), flush=True)
            source.path.unlink()


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="length of each recording")
    parser.add_argument("--segment-s", type=float, default=10.0, help="length of the segment")
    parser.add_argument("--pairs", type=int, default=9, help="how often each way is timed")
    return parser.parse_args()


def machine() -> str:
    versions = f"soundfile {soundfile.__version__} ({soundfile.__libsndfile_version__}), soxr {soxr.__version__}"
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {versions}"


def make_recording(path: Path, minutes: float, how: dict[str, str]) -> Path:
    """A minute of harmonics with moving pitch, syllables and noise, repeated."""
    time_s = np.arange(60 * RATE_HZ) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.7 * time_s)) / RATE_HZ
    voice = np.sum([np.sin(k * phase) / k for k in range(1, 16)], axis=0)
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, **how) as file:
        for at_s in range(round(minutes * 60)):
            second = slice(at_s % 60 * RATE_HZ, (at_s % 60 + 1) * RATE_HZ)
            syllables = np.clip(np.sin(2 * np.pi * rng.uniform(2, 6) * time_s[:RATE_HZ]), 0, None)
            noise = 0.005 * rng.standard_normal(RATE_HZ)
            file.write((0.15 * voice[second] * syllables + noise).astype(np.float32))
    return path


def row(name: str, source: AudioSource, options: argparse.Namespace) -> str:
    info = probe(source)
    seeking_s, whole_s, differences = [], [], []
    for start_s in np.random.default_rng(1).uniform(0, info.duration_s - options.segment_s, options.pairs):
        start_s, end_s = float(start_s), float(start_s + options.segment_s)
        took_s, segment = timed(lambda: read(source, start_s, end_s, expect=info))  # noqa: B023 - called at once
        seeking_s.append(took_s)
        took_s, expected = timed(lambda: slice_of_whole(source, info, start_s, end_s))  # noqa: B023
        whole_s.append(took_s)
        differences.append(float(np.abs(segment - expected).max()))
    seek, whole = statistics.median(seeking_s), statistics.median(whole_s)
    times = f"{seek * 1000:7.2f} ms | {whole * 1000:17.1f} ms | {whole / seek:6.0f}x"
    return f"| {name:6} | {times} | {max(differences):18.1e} |"


def timed(work: Callable[[], NDArray[np.float32]]) -> tuple[float, NDArray[np.float32]]:
    start = time.perf_counter()
    samples = work()
    return time.perf_counter() - start, samples


def slice_of_whole(source: AudioSource, info: AudioInfo, start_s: float, end_s: float) -> NDArray[np.float32]:
    whole, _ = soundfile.read(source.path, dtype="float32")
    return np.array(whole[round(start_s * info.sample_rate_hz) : round(end_s * info.sample_rate_hz)])


if __name__ == "__main__":
    main()
