"""What the main process sends to a decoding worker, and what the worker sends back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError
from k2d.inference.decode_job import DecodeJob, Item


@dataclass(frozen=True, slots=True)
class DecodeTask:
    """Items that a worker decodes together, and the number of the part file to which it writes the answers."""

    decode_job: DecodeJob
    cache: Path
    number: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class SpeedTask:
    """A stretch of audio that every model decodes several times, in turn, to measure how long it takes."""

    decode_jobs: Mapping[str, DecodeJob]
    """By the name of the system."""
    items: tuple[Item, ...]
    """Recordings, or parts of them, in the order of their ids."""
    batch_size: int | None
    """None: each model's own."""
    n_runs: int
    n_threads: int
    folder: Path
    """Where the worker writes how far it is."""


Task = DecodeTask | SpeedTask

Undecided = dict[str, str]
"""The result of a DecodeTask: the ids of items at which the machine failed, each with the reason."""
Timings = dict[str, dict[str, Any]]
"""The result of a SpeedTask: the timing of each system."""
TaskResult = Undecided | Timings


@dataclass(frozen=True, slots=True)
class WorkerDevice:
    """Where a worker computes."""

    name: str
    """As torch names it: `cpu`, `cuda:0`."""
    n_threads: int


class TaskInterrupted(K2DError):
    """The machine failed a worker in the middle of a task, and it is not known at which of the items."""

    is_passing = True
