"""The speed of models on a test set: all of them, in turn, on a fixed stretch of it, one by one and batched."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text
from k2d.data.kaldi.datadir import read_recordings
from k2d.inference.decode_job import Work, settings_of_work
from k2d.inference.dispatch import measure_speed
from k2d.inference.stretches import first_stretch
from k2d.inference.tasks import SpeedTask
from k2d.pipeline.job import Counts, Job, Unit
from k2d.score.timing import BATCHED, SINGLE, SPEED

SPEED_S = 120.0
"""How much of a test set is decoded, over and over."""


def speed_unit(works: Mapping[str, Work], split: str, job: Job) -> Unit:
    """Made anew without asking when a model joins: only what was timed in turn can be compared."""
    settings: dict[str, Any] = {
        "set": split,
        "models": {model: settings_of_work(work) for model, work in works.items()},
        "batch_size": job.config.decode.batch_size,
        "speed_runs": job.config.score.speed_runs,
        "speed_s": SPEED_S,
    }
    batch_sizes = {model: work.options["batch_size"] for model, work in works.items()}
    if set(batch_sizes.values()) - {settings["batch_size"]}:  # absent otherwise, as in stamps made before
        settings["batch_sizes"] = batch_sizes
    inputs = dict.fromkeys([*(work.model for work in works.values()), job.layout.split(split) / "wav.scp"])
    return Unit(job.layout.speed(split), settings, tuple(inputs), is_disposable=True)


def is_speed_unit(unit: Unit) -> bool:
    return "speed_runs" in unit.settings


def make_speed(unit: Unit, works: Mapping[str, Work], job: Job, folder: Path) -> Counts:
    """A speed.json: timings by way and model."""
    split, n = str(unit.settings["set"]), len(works)
    stretch = tuple(first_stretch(read_recordings(job.layout.split(split)), SPEED_S))
    if not stretch:
        return Counts(n, 0, {"no_durations": n}, "models")
    n_runs, n_threads = job.config.score.speed_runs, len(os.sched_getaffinity(0))
    found = {}
    with tempfile.TemporaryDirectory() as aside:
        for way, batch_size in ((SINGLE, 1), (BATCHED, None)):
            task = SpeedTask(works, stretch, batch_size, n_runs, n_threads, Path(aside))
            found[way] = measure_speed(task, job, f"speed on {split}, {way}")
    write_text(folder / SPEED, json.dumps(found, indent=1) + "\n")
    return Counts(n, n, what="models")
