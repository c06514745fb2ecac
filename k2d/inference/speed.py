"""The speed of models on a test set: all of them, in turn, on a fixed stretch of it, one by one and batched."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from k2d.core.atomic import write_text
from k2d.data.kaldi.datadir import read_recordings
from k2d.data.rows import Recording
from k2d.inference.decode_job import Item, Work, settings_of_work
from k2d.inference.dispatch import Speed, measure_speed
from k2d.pipeline.job import Counts, Job, Unit
from k2d.score.timing import BATCHED, SINGLE, SPEED

SPEED_S = 120.0
"""How much of a test set is decoded, over and over."""


def speed_unit(works: Mapping[str, Work], split: str, job: Job) -> Unit:
    """Made anew without asking when a model joins: only what was timed in turn can be compared."""
    settings = {
        "set": split,
        "models": {model: settings_of_work(work) for model, work in works.items()},
        "batch_size": job.config.decode.batch_size,
        "speed_runs": job.config.score.speed_runs,
        "speed_s": SPEED_S,
    }
    inputs = dict.fromkeys([*(work.model for work in works.values()), job.places.split(split) / "wav.scp"])
    return Unit(job.places.exp / "speed" / split, settings, tuple(inputs), is_disposable=True)


def is_speed_unit(unit: Unit) -> bool:
    return "speed_runs" in unit.settings


def make_speed(unit: Unit, works: Mapping[str, Work], job: Job, folder: Path) -> Counts:
    """A speed.json: timings by way and model."""
    split, n = str(unit.settings["set"]), len(works)
    stretch = tuple(first_stretch(read_recordings(job.places.split(split)), SPEED_S))
    if not stretch:
        return Counts(n, 0, {"no_durations": n}, "models")
    n_runs, n_threads = job.config.score.speed_runs, len(os.sched_getaffinity(0))
    found = {}
    with tempfile.TemporaryDirectory() as aside:
        for way, batch_size in ((SINGLE, 1), (BATCHED, job.config.decode.batch_size)):
            speed = Speed(works, stretch, batch_size, n_runs, n_threads, Path(aside))
            found[way] = measure_speed(speed, job, f"speed on {split}, {way}")
    write_text(folder / SPEED, json.dumps(found, indent=1) + "\n")
    return Counts(n, n, what="models")


def first_stretch(recordings: Iterable[Recording], limit_s: float) -> list[Item]:
    """The first recordings of a set by id, up to the limit, at which the last one is cut.

    >>> rows = [Recording("a", "a.wav", 70.0), Recording("b", "b.wav", 90.0), Recording("c", "c.wav", 9.0)]
    >>> [(item.id, item.end_s) for item in first_stretch(rows, 120.0)]
    [('a', 70.0), ('b', 50.0)]
    """
    found: list[Item] = []
    left_s = limit_s
    for row in recordings:
        if left_s <= 0:
            break
        end_s = min(row.duration_s or 0.0, left_s)
        if end_s > 0:
            found.append(Item(row.id, row.audio, 0.0, end_s, end_s))
            left_s -= end_s
    return found


def in_pieces(items: Iterable[Item], piece_s: float) -> list[Item]:
    """The same audio in pieces, so that a batch has enough to do at once.

    >>> [(piece.start_s, piece.end_s) for piece in in_pieces([Item("a", "a.wav", 0.0, 25.0)], 10.0)]
    [(0.0, 10.0), (10.0, 20.0), (20.0, 25.0)]
    """
    return [
        replace(item, id=f"{item.id}-{n:03d}", start_s=start_s, end_s=min(start_s + piece_s, item.end_s or 0.0))
        for item in items
        for n, start_s in enumerate(n * piece_s for n in range(math.ceil((item.end_s or 0.0) / piece_s)))
    ]
