"""Measures the speed of all models on a fixed stretch of a test set, in turn, one window at a time and in batches."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text
from k2d.data.kaldi.datadir import read_recordings
from k2d.inference.decode_job import DecodeJob, decode_settings
from k2d.inference.dispatch import measure_speed
from k2d.inference.stretches import first_stretch
from k2d.inference.tasks import SpeedTask
from k2d.pipeline.job import Counts, Job, Unit
from k2d.score.timing import BATCHED, SINGLE, SPEED

SPEED_S = 120.0
"""The length of the stretch, which is decoded several times."""


@dataclass(frozen=True, slots=True)
class SpeedRace:
    """The speeds of all systems on a test set."""

    set: str
    decode_jobs: Mapping[str, DecodeJob]
    """By name of the system."""
    batch_size: int
    """From the section `decode`. A model may have its own."""
    n_runs: int

    @property
    def settings(self) -> dict[str, Any]:
        batch_sizes = {system: decode_job.options["batch_size"] for system, decode_job in self.decode_jobs.items()}
        has_others = any(size != self.batch_size for size in batch_sizes.values())
        return {
            "set": self.set,
            "models": {system: decode_settings(decode_job) for system, decode_job in self.decode_jobs.items()},
            "batch_size": self.batch_size,
            "speed_runs": self.n_runs,
            "speed_s": SPEED_S,
            **({"batch_sizes": batch_sizes} if has_others else {}),  # stamps of earlier versions do not have it
        }


def speed_unit(decode_jobs: Mapping[str, DecodeJob], split: str, job: Job) -> Unit[SpeedRace]:
    """The unit is made again without asking when a model is added: only models timed in turn can be compared."""
    content = SpeedRace(split, decode_jobs, job.config.decode.batch_size, job.config.score.speed_runs)
    inputs = dict.fromkeys(
        [*(decode_job.model for decode_job in decode_jobs.values()), job.layout.split(split) / "wav.scp"]
    )
    return Unit(job.layout.speed(split), content, tuple(inputs), is_disposable=True)


def make_speed(race: SpeedRace, job: Job, folder: Path) -> Counts:
    """Write speed.json with the timings of each way and model."""
    split, decode_jobs, n = race.set, race.decode_jobs, len(race.decode_jobs)
    stretch = tuple(first_stretch(read_recordings(job.layout.split(split)), SPEED_S))
    if not stretch:
        return Counts(n, 0, {"no_durations": n}, "models")
    n_runs, n_threads = race.n_runs, len(os.sched_getaffinity(0))
    found = {}
    with tempfile.TemporaryDirectory() as aside:
        for way, batch_size in ((SINGLE, 1), (BATCHED, None)):
            task = SpeedTask(decode_jobs, stretch, batch_size, n_runs, n_threads, Path(aside))
            found[way] = measure_speed(task, job, f"speed on {split}, {way}")
    write_text(folder / SPEED, json.dumps(found, indent=1) + "\n")
    return Counts(n, n, what="models")
