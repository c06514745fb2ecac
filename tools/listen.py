"""Print acoustic figures of some utterances of a data directory: length, level, noise and silence.

.venv/bin/python tools/listen.py data/mini/lectures_test [--n 10] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np

from k2d.data.audio import read, resolve
from k2d.data.audio.decoders import Samples
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.kaldi.external_sort import read_lines
from k2d.data.kaldi.joins import split_row

FRAME = 320  # samples: 20 ms at 16 kHz
SILENCE_DB = -30.0  # relative to the utterance's louder frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=10, help="number of utterances (default: 10)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    utterances = list(read_utterances(options.folder))
    chosen = random.Random(options.seed).sample(utterances, min(options.n, len(utterances)))
    noise = options.folder / "reco2noise"
    conditions = dict(map(split_row, read_lines(noise))) if noise.exists() else {}
    print(f"{'utterance':<34} {'s':>6} {'dBFS':>6} {'peak':>5} {'loud-quiet dB':>13} {'silence':>8}  as configured")
    for row in sorted(chosen, key=lambda row: row.id):
        samples = read(resolve(row.audio), row.start_s, row.end_s)
        level_db, range_db, silent = levels(samples)
        figures = (
            f"{len(samples) / 16000:6.2f} {level_db:6.1f} {np.abs(samples).max():5.2f} {range_db:13.1f} {silent:8.0%}"
        )
        print(f"{row.id:<34} {figures}  {conditions.get(row.recording_id, '')}")


def levels(samples: Samples) -> tuple[float, float, float]:
    """The level in dB of full scale, the difference of loud and quiet frames in dB, and the share of silent frames."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    energy_db = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-10)
    quiet_db, loud_db = np.percentile(energy_db, [5, 95])
    level_db = 10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-10)
    return float(level_db), float(loud_db - quiet_db), float(np.mean(energy_db < loud_db + SILENCE_DB))


if __name__ == "__main__":
    main()
