"""The speed and memory of validating a large data directory: lines per second over all its files.

    python tools/bench/validate_lines.py [--utterances 1000000]

A directory with segments is made twice in a temporary folder, once sorted and once in random order, and validated
without its audio, each time by a new process.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]
UTTERANCES_PER_RECORDING = 250
RECORDINGS_PER_SPEAKER = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=1_000_000)
    parser.add_argument("--validate", type=Path, help=argparse.SUPPRESS)  # for the new process
    arguments = parser.parse_args()
    if arguments.validate:
        _validate(arguments.validate)
        return
    print(f"{platform.platform()}, {os.cpu_count()} cores (one is used), Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as folder:
        for order in ("sorted", "shuffled"):
            data = Path(folder, order)
            n_lines, n_bytes = _make(data, arguments.utterances, order)
            print(f"{order}: {n_lines:,} lines, {n_bytes / 1e6:,.0f} MB: ", end="", flush=True)
            subprocess.run([sys.executable, __file__, "--validate", data], check=True)


def _validate(folder: Path) -> None:
    sys.path.insert(0, str(PROJECT_ROOT))
    from k2d.data.kaldi.validate import validate
    from k2d.data.kaldi.validation import AudioLevel, Checks

    n_lines = sum(_count_lines(path) for path in folder.iterdir())
    started = time.perf_counter()
    found = validate(folder, Checks(audio=AudioLevel.NONE))
    seconds = time.perf_counter() - started
    assert found.is_sound, found.report.lines()
    peak_mb = _peak_mb()
    print(f"{seconds:.1f} s, {n_lines / seconds:,.0f} lines/s, {peak_mb:.0f} MB peak")


def _peak_mb() -> float:
    """The peak of this process alone. ru_maxrss would include the parent's memory at the start."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmHWM"].split()[0]) / 1024


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _make(folder: Path, n_utterances: int, order: str) -> tuple[int, int]:
    """Write the directory table by table. Returns its lines and bytes."""
    folder.mkdir()
    n_recordings = -(-n_utterances // UTTERANCES_PER_RECORDING)
    tables = {
        "wav.scp": (f"{_recording(i)} audio/{_recording(i)}.flac" for i in range(n_recordings)),
        "reco2dur": (f"{_recording(i)} {UTTERANCES_PER_RECORDING * 8.0}" for i in range(n_recordings)),
        "utt2spk": (f"{utt} {spk}" for utt, spk, _, _ in _utterances(n_utterances)),
        "text": (
            f"{utt} 我们 今天 discuss 第 {start:.0f} 个 topic of the lecture"
            for utt, _, _, start in _utterances(n_utterances)
        ),
        "segments": (
            f"{utt} {reco} {start:.2f} {start + 6.5:.2f}" for utt, _, reco, start in _utterances(n_utterances)
        ),
        "utt2dur": (f"{utt} 6.50" for utt, _, _, _ in _utterances(n_utterances)),
    }
    n_lines = 0
    for name, lines in tables.items():
        n_lines += _write(folder / name, lines, order)
    n_lines += _write_spk2utt(folder / "spk2utt", n_utterances)
    return n_lines, sum(path.stat().st_size for path in folder.iterdir())


def _recording(i: int) -> str:
    return f"spk{i // RECORDINGS_PER_SPEAKER:06}-lecture{i % RECORDINGS_PER_SPEAKER}"


def _utterances(n: int) -> Iterator[tuple[str, str, str, float]]:
    """Utterance, speaker, recording, start."""
    for i in range(n):
        recording, start = _recording(i // UTTERANCES_PER_RECORDING), i % UTTERANCES_PER_RECORDING * 8.0
        yield f"{recording}-{round(start * 100):07}", recording.partition("-")[0], recording, start


def _write(path: Path, lines: Iterator[str], order: str) -> int:
    every = list(lines)
    if order == "shuffled":
        random.Random(path.name).shuffle(every)
    path.write_text("\n".join(every) + "\n", encoding="utf-8")
    return len(every)


def _write_spk2utt(path: Path, n_utterances: int) -> int:
    inverse: dict[str, list[str]] = {}
    for utterance, speaker, _, _ in _utterances(n_utterances):
        inverse.setdefault(speaker, []).append(utterance)
    path.write_text("".join(f"{speaker} {' '.join(ids)}\n" for speaker, ids in inverse.items()), encoding="utf-8")
    return len(inverse)


if __name__ == "__main__":
    main()
