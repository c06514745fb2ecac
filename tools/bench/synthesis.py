"""The speed at which egs/mini makes its audio: seconds of audio per second of wall-clock time.

    python tools/bench/synthesis.py [--preset mini] [--scale 0.2] [--nj 2]

The corpus is made in an empty temporary folder, and then requested once more. Finished parts are not made again.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

PROJECT_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT_ROOT))

if TYPE_CHECKING:
    from egs.mini.options import Options


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=("mini", "smoke"), default="mini")
    parser.add_argument(
        "--scale", type=float, default=0.2, help="share of the preset's pool and lectures (default: 0.2)"
    )
    parser.add_argument("--nj", type=int, default=2)
    arguments = parser.parse_args()
    from egs.mini.options import Options

    options = scaled(Options(preset=arguments.preset), arguments.scale)
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, nj {arguments.nj}")
    print(f"preset {arguments.preset}, pool and lectures times {arguments.scale:g}")
    print(f"{'':12}{'audio s':>10}{'wall s':>10}{'x real time':>13}")
    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as folder:
        for label in ("from nothing", "once more"):
            started = time.perf_counter()
            audio_s = make(Path(folder), options, arguments.nj)
            wall_s = time.perf_counter() - started
            print(f"{label:12}{audio_s:10,.0f}{wall_s:10.1f}{audio_s / wall_s:13,.0f}", flush=True)


def scaled(options: Options, share: float) -> Options:
    """The options with a smaller pool and fewer lectures. The development and test splits stay."""
    lectures = replace(options.lectures, recordings=max(1, round(options.lectures.recordings * share)))
    return replace(options, pool=max(1, round(options.pool * share)), lectures=lectures)


def make(root: Path, options: Options, nj: int) -> float:
    """Make the corpus. Returns the seconds of all its recordings."""
    import soundfile

    from egs.mini.prepare import prepare

    files = {row.audio for _, row in prepare(root, options, nj)}
    return sum(float(soundfile.info(path).duration) for path in files)


if __name__ == "__main__":
    main()
