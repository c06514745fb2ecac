"""The messages between the main process and a decoding worker: tasks and their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError
from k2d.inference.decode_job import DecodeJob, Item


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """Items that a worker decodes together, and the number of the part file for their answers."""

    decode_job: DecodeJob
    cache: Path
    number: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class SpeedTask:
    """A stretch of audio that every model decodes several times, in turn, to measure its speed."""

    decode_jobs: Mapping[str, DecodeJob]
    """By name of the system."""
    items: tuple[Item, ...]
    """Recordings, or parts of them, in the order of their ids."""
    batch_size: int | None
    """None: each model uses its own."""
    n_runs: int
    n_threads: int
    folder: Path
    """The folder in which the worker writes its progress."""


Task = DecodeTask | SpeedTask

Undecided = dict[str, str]
"""The result of a DecodeTask: the ids of items at which the machine failed, with the reasons."""
Timings = dict[str, dict[str, Any]]
"""The result of a SpeedTask: the timing of each system."""
TaskResult = Undecided | Timings


@dataclass(frozen=True, slots=True)
class WorkerDevice:
    """The device on which a worker computes."""

    name: str
    """The name in torch: `cpu`, `cuda:0`."""
    n_threads: int


class TaskInterrupted(K2DError):
    """The machine failed during a task, and it is unknown at which item."""

    is_passing = True
