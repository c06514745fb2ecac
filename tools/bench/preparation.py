"""The speed of preparing a corpus from parquet: hours of audio per minute, and the memory.

    python tools/bench/preparation.py [--hours 2] [--group-rows 100] [--nj 1]

A set in the form of NTUML2021 is made in a temporary folder (clips of 1 to 4 s of speech-like noise). Stage 1 is run on
it as a command: it unpacks the audio, writes FLAC, joins long recordings, checks every file, and sorts, writes and
checks the tables. It is run once more with the audio in place.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile

PROJECT_ROOT = Path(__file__).resolve().parents[2]
RATE_HZ = 16_000
MEAN_S = 2.5
DEV_SHARE = 0.2
AUDIO = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
SCHEMA = pyarrow.schema([("audio", AUDIO), ("transcription", pyarrow.string()), ("file", pyarrow.string())])

# Run from a small process of its own, because a child inherits its parent's peak of memory.
MEASURE = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


class Used(NamedTuple):
    wall_s: float
    cpu_s: float
    """Of all processes together."""
    peak_mb: float
    """Of the largest process."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0, help="of the test split (default: 2)")
    parser.add_argument("--group-rows", type=int, default=100, help="rows of a row group (default: 100)")
    parser.add_argument("--nj", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, nj {arguments.nj}")
    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as folder:
        n_test = round(arguments.hours * 3600 / MEAN_S)
        hours = write_corpus(Path(folder) / "raw" / "data", n_test, arguments.group_rows)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        print(f"{hours:.2f} h in {size / 1e6:,.0f} MB of parquet, row groups of {arguments.group_rows} rows")
        for label in ("from nothing", "audio there"):
            used = prepare(Path(folder), arguments.nj)
            rates = (
                f"{hours / used.wall_s * 60:6.2f} h/min by the clock, {hours / used.cpu_s * 60:6.2f} by processor time"
            )
            print(f"{label:14}{used.wall_s:8.1f} s {rates}; largest process {used.peak_mb:,.0f} MB", flush=True)
            shutil.rmtree(Path(folder) / "made" / "ntuml2021")


def write_corpus(folder: Path, n_test: int, group_rows: int) -> float:
    """Write `test`, and `dev` with other clips. Returns the hours of both."""
    folder.mkdir(parents=True)
    seconds = 0.0
    for split, n_rows in (("test", n_test), ("dev", round(n_test * DEV_SHARE))):
        path = folder / f"{split}-00000-of-00001.parquet"
        with pyarrow.parquet.ParquetWriter(path, SCHEMA) as writer:
            for first in range(0, n_rows, group_rows):
                rows = list(clips(split, range(first, min(first + group_rows, n_rows))))
                seconds += sum((len(row["audio"]["bytes"]) - 44) / 2 / RATE_HZ for row in rows)
                writer.write_table(pyarrow.Table.from_pylist(rows, SCHEMA), group_rows)
    return seconds / 3600


def clips(split: str, numbers: range) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng([len(split), numbers.start])
    for number in numbers:
        n_samples = round(rng.uniform(1.0, 2 * MEAN_S - 1.0) * RATE_HZ)
        syllables = np.clip(np.sin(np.arange(n_samples) * (2 * np.pi * 3.7 / RATE_HZ)), 0.02, None)
        buffer = io.BytesIO()
        soundfile.write(buffer, 0.1 * syllables * rng.standard_normal(n_samples), RATE_HZ, format="WAV")
        name = f"{split}_{number:06d}.wav"
        yield {"audio": {"bytes": buffer.getvalue(), "path": name}, "transcription": "這個 model", "file": name}


def prepare(folder: Path, nj: int) -> Used:
    """Run stage 1 as a command. Returns its time and memory."""
    words = ["--conf", str(PROJECT_ROOT / "conf" / "mini.yaml"), "--corpus", "ntuml2021", "--nj", str(nj)]
    settings = [f"data={folder}/made", f"exp={folder}/exp", f"prepare.roots.ntuml2021={folder}/raw"]
    command = [sys.executable, "-m", "k2d", "prepare", *words, "--allow-count-mismatch", *settings]
    measured = [sys.executable, "-c", MEASURE, *command]
    started = time.perf_counter()
    done = subprocess.run(measured, cwd=PROJECT_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    wall_s = time.perf_counter() - started
    cpu_s, peak_kb = done.stdout.split()
    return Used(wall_s, float(cpu_s), float(peak_kb) / 1000)


if __name__ == "__main__":
    main()
