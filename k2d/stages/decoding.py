"""Decoding in worker processes for stages 5, 7 and 11: what is decoded once is never decoded again.

Which worker decodes what, and with whom in a batch, decides nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from k2d.crew import Crew
from k2d.data.rows import Rejected
from k2d.faults import K2DError
from k2d.progress import Progress
from k2d.stages.answers import Answer, first_free_part, heard_s, part_of, read_answers, set_of_finished, write_answer
from k2d.stages.job import Job
from k2d.stages.work import Item, Work
from k2d.workers import Outcome

MAX_SHARE = 64
"""Items that a worker gets at once, in batches."""
CLIPS_PER_SHARE = 512
POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Share:
    """What a worker gets at once, and the part file that it writes."""

    work: Work
    part: Path
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Speed:
    """A stretch of a set to be decoded several times by every model in turn, for the time it takes."""

    works: Mapping[str, Work]
    """By the name of the row."""
    items: tuple[Item, ...]
    """Recordings, or stretches of them, in the order of their ids."""
    batch_size: int
    n_runs: int
    n_threads: int
    folder: Path
    """For what has been heard so far."""


Task = Share | Speed
Timings = dict[str, dict[str, Any]]
"""A timing by model."""
Answered = Timings | None


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a worker works."""

    device: str
    threads: int


def decode_items(work: Work, items: Iterable[Item], cache: Path, job: Job, label: str) -> Iterator[Answer]:
    """Decode what `cache` does not have yet, then yield every answer by id."""
    cache.mkdir(parents=True, exist_ok=True)
    finished = set_of_finished(cache)
    wanted = [item for item in items if item.id not in finished]
    if wanted:
        _make_ready(work)
        crew = _crew(*_seats(job))
        with _showing(cache, label, sum(item.length_s for item in wanted)):
            outcomes = crew.map(_shares(work, wanted, cache, crew.size))
            deaths = [outcome for outcome in outcomes if outcome.error and _reason(outcome)]
            _one_by_one(deaths, crew, cache)
    yield from read_answers(cache)


def _make_ready(work: Work) -> None:
    """What workers must find: the model in its engine's form."""
    if work.compute_type is not None:
        from k2d.stages.engine import convert

        convert(work.model, work.compute_type)


def measure_speed(speed: Speed, job: Job, label: str) -> Timings:
    """Have every model decode the same stretch of audio several times, in turn, alone on the machine."""
    for work in speed.works.values():
        _make_ready(work)
    total_s = (speed.n_runs + 1) * len(speed.works) * sum(item.length_s for item in speed.items)
    with _showing(speed.folder, label, total_s):
        outcome = next(_crew(*_seats(job)).map([speed]))
    if outcome.error:
        raise K2DError(f"{label}: measuring the speed of {', '.join(speed.works)} failed: {_reason(outcome)}")
    assert outcome.value is not None
    return outcome.value


# --- workers ---


def _seats(job: Job) -> tuple[Seat, ...]:
    cores = len(os.sched_getaffinity(0))
    if job.ngpu:
        return tuple(Seat(f"cuda:{n}", max(1, cores // job.ngpu)) for n in range(job.ngpu))
    return (Seat("cpu", max(1, cores // job.nj)),) * job.nj


@lru_cache(maxsize=1)
def _crew(*seats: Seat) -> Crew[Seat, Task, Answered]:
    """The workers; they stay for all units of a stage, as a worker takes ten seconds to import its libraries."""
    from k2d.stages.decoding_worker import do

    return Crew(do, seats)


def _shares(work: Work, items: list[Item], cache: Path, n_workers: int) -> Iterator[Share]:
    shares = _dealt_clips(items, n_workers) if work.clips else _dealt(items, n_workers)
    for number, dealt in enumerate(shares, first_free_part(cache)):
        yield Share(work, part_of(cache, number), dealt)


def _dealt(items: list[Item], n_workers: int) -> list[tuple[Item, ...]]:
    """Recordings, longest first, dealt like cards: every worker gets as much to do, and long ones together."""
    if not items:
        return []
    ordered = sorted(items, key=lambda item: (-item.length_s, item.id))
    n_shares = min(n_workers * -(-len(items) // (n_workers * MAX_SHARE)), len(items))
    return [tuple(ordered[n::n_shares]) for n in range(n_shares)]


def _dealt_clips(items: list[Item], n_workers: int) -> Iterator[tuple[Item, ...]]:
    """Clips in their order, so that those of one recording stay together."""
    size = max(1, min(CLIPS_PER_SHARE, -(-len(items) // n_workers)))
    queue = iter(items)
    while dealt := tuple(islice(queue, size)):
        yield dealt


def _one_by_one(deaths: list[Outcome[Task, Answered]], crew: Crew[Seat, Task, Answered], cache: Path) -> None:
    """After workers died: what they had not finished again, each item alone; one that kills again is the culprit."""
    finished = set_of_finished(cache)
    left = [
        replace(share, part=_beside(share.part, f"{n:04d}"), items=(item,))
        for share in (death.item for death in deaths if isinstance(death.item, Share))
        for n, item in enumerate(share.items)
        if item.id not in finished
    ]
    for again in crew.map(left):
        share = again.item
        if again.error and isinstance(share, Share):
            item = share.items[0]
            failed = Rejected(item.id, "decoder_failed", _reason(again), item.audio)
            with _beside(share.part, "failed").open("w", encoding="utf-8") as file:
                file.write(write_answer(Answer(item.id, 0.0, None, failed)))


def _reason(outcome: Outcome[Task, Answered]) -> str:
    """Why a worker has no answer; what it raised is raised here, because it is not the item's fault."""
    if outcome.exception is None:
        return outcome.error
    logging.getLogger("k2d.file").error("in a worker: %s", outcome.error)
    if isinstance(outcome.exception, K2DError):
        raise outcome.exception
    raise RuntimeError(f"a decoding worker failed: {outcome.error}") from outcome.exception


def _beside(part: Path, mark: str) -> Path:
    return part.with_name(f"{part.stem}-{mark}{part.suffix}")


# --- progress ---


@contextmanager
def _showing(cache: Path, label: str, total_s: float) -> Iterator[None]:
    """Show how many minutes of audio the workers have heard, which they write beside their parts."""
    over = threading.Event()

    def watch() -> None:
        with Progress(label, total_s / 60, "min of audio") as progress:
            while not over.wait(POLL_S):
                progress.update(min(heard_s(cache), total_s) / 60 - progress.done)

    for old in cache.glob("*.heard"):
        old.unlink()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
