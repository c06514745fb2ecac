"""Distribute items to worker processes for stages 5, 7 and 11. A decoded item is never decoded again.

The result does not depend on which worker decodes an item, or on the other items of its batch.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import count, islice
from pathlib import Path
from typing import cast

from k2d.core.errors import K2DError
from k2d.core.layout import converted_model
from k2d.core.retries import MAX_AGAIN, is_passing_outcome, machine_failed
from k2d.core.worker_pool import WorkerPool
from k2d.core.workers import Outcome
from k2d.data.rows import Rejected
from k2d.inference.answer_cache import Answer, answers_to, read_answers, write_answer
from k2d.inference.audio_progress import SetProgress, show_progress
from k2d.inference.decode_job import DecodeJob, Item
from k2d.inference.tasks import (
    DecodeTask,
    SpeedTask,
    Task,
    TaskInterrupted,
    TaskResult,
    Timings,
    Undecided,
    WorkerDevice,
)
from k2d.inference.worker import carry_out
from k2d.models.registry import families_of_engine
from k2d.pipeline.answer_parts import first_free_part, ids_of_part, new_part, set_of_finished
from k2d.pipeline.job import Job

MAX_SHARE = 64
"""The largest number of items that a worker gets at once; it decodes them in batches."""
CLIPS_PER_SHARE = 512

log = logging.getLogger("k2d")


def decode_items(decode_job: DecodeJob, items: Iterable[Item], cache: Path, job: Job, label: str) -> Iterator[Answer]:
    """Decode the items that `cache` lacks, then yield an answer for each item by id. K2DError if one is missing."""
    cache.mkdir(parents=True, exist_ok=True)
    finished, asked = set_of_finished(cache), cache / "asked"
    wanted, set_progress = [], SetProgress(cache, first_free_part(cache))
    with asked.open("w", encoding="utf-8", newline="\n") as ids:
        for item in items:
            ids.write(f"{item.id}\n")
            set_progress.expect(item.length_s, is_done=item.id in finished)
            if item.id not in finished:
                wanted.append(item)
    if wanted:
        _log_engine(decode_job, job)
        _make_ready(decode_job)
        with show_progress(set_progress, label):
            _decode(decode_job, wanted, set_progress, job, label)
    yield from answers_to(asked, cache, read_answers(cache))


def _log_engine(decode_job: DecodeJob, job: Job) -> None:
    engine = job.config.decode.engine
    families = families_of_engine(engine)
    if decode_job.compute_type is None and decode_job.family not in families and engine != "torch":
        reason = f"as {engine} runs only {' and '.join(families)} models (its family is {decode_job.family})"
        log.info("%s: decoded in torch, %s", decode_job.model.name, reason)


def _make_ready(decode_job: DecodeJob) -> None:
    """Prepare the model for the workers: convert it if its engine needs another form."""
    if decode_job.compute_type is not None:
        from k2d.export.engine_form import convert

        target = converted_model(decode_job.model, decode_job.compute_type)
        convert(decode_job.model, decode_job.compute_type, target, "decode.engine: ctranslate2", log.info)


def measure_speed(task: SpeedTask, job: Job, label: str) -> Timings:
    """Decode the same stretch of audio with every model several times, in turn, with no other worker running."""
    for decode_job in task.decode_jobs.values():
        _make_ready(decode_job)
    set_progress = SetProgress(task.folder, 0)
    set_progress.expect((task.n_runs + 1) * len(task.decode_jobs) * sum(item.length_s for item in task.items))
    with show_progress(set_progress, label):
        outcome = next(_crew(*_devices(job)).map([task]))
    set_progress.settle(0, set_progress.total_s)
    if outcome.error:
        _raise_its_own(outcome)
        raise K2DError(f"{label}: measuring the speed of {', '.join(task.decode_jobs)} failed: {outcome.error}")
    assert outcome.value is not None
    return cast(Timings, outcome.value)


# --- workers ---


def _devices(job: Job) -> tuple[WorkerDevice, ...]:
    cores = len(os.sched_getaffinity(0))
    if job.ngpu:
        return tuple(WorkerDevice(f"cuda:{n}", max(1, cores // job.ngpu)) for n in range(job.ngpu))
    return (WorkerDevice("cpu", max(1, cores // job.nj)),) * job.nj


@lru_cache(maxsize=1)
def _crew(*devices: WorkerDevice) -> WorkerPool[WorkerDevice, Task, TaskResult]:
    """The worker pool. It is kept for all units of a stage, because a worker takes seconds to import its libraries."""
    return WorkerPool(carry_out, devices)


def _recording_shares(items: list[Item], n_workers: int) -> list[tuple[Item, ...]]:
    """Shares that take about as long as each other: recordings are sorted by length and then dealt out in turn."""
    if not items:
        return []
    ordered = sorted(items, key=lambda item: (-item.length_s, item.id))
    n_shares = min(n_workers * -(-len(items) // (n_workers * MAX_SHARE)), len(items))
    return [tuple(ordered[n::n_shares]) for n in range(n_shares)]


def _clip_shares(items: list[Item], n_workers: int) -> Iterator[tuple[Item, ...]]:
    """Shares of clips in their order, so that clips of one recording stay together."""
    size = max(1, min(CLIPS_PER_SHARE, -(-len(items) // n_workers)))
    queue = iter(items)
    while share := tuple(islice(queue, size)):
        yield share


# --- tries ---

_KEPT = ", and what is decoded is kept"


def _decode(decode_job: DecodeJob, wanted: list[Item], set_progress: SetProgress, job: Job, label: str) -> None:
    """Get an answer for every item. An item is tried once more, alone, if the machine failed or its worker died.

    If a worker dies, any item of its task may be the cause; decoding them one by one shows which. K2DError names the
    items at which the machine failed twice. They have no answer, so the next run decodes them.
    """
    crew, numbers = _crew(*_devices(job)), count(set_progress.first_part)
    shares = _clip_shares(wanted, crew.size) if decode_job.clips else _recording_shares(wanted, crew.size)
    tasks = (DecodeTask(decode_job, set_progress.folder, next(numbers), share) for share in shares)
    again: list[Item] = []
    passing: list[tuple[str, str]] = []
    for task, undecided, outcome in _tried(crew, tasks, set_progress):
        again += [item for item in task.items if item.id in undecided]
        if not outcome.error:
            passing += undecided.items()
    # Items of a task whose worker died or was interrupted are not counted here, because it is unknown which of them
    # failed. Many other failures are caused by the machine, which would fail at each item alone, too.
    of_all = f"of {set_progress.n_items:,} {'clips' if decode_job.clips else 'recordings'}"
    if len(passing) > max(MAX_AGAIN, job.config.max_bad * set_progress.n_items):
        raise machine_failed(f"{label}: {len(passing):,} {of_all}", passing, _KEPT)
    alone = (DecodeTask(decode_job, set_progress.folder, next(numbers), (item,)) for item in again)
    left: list[tuple[str, str]] = []
    for task, undecided, outcome in _tried(crew, alone, set_progress):
        # A worker that dies with a single item dies of that item, unless the machine killed it (short of memory).
        if outcome.error and not is_passing_outcome(outcome):
            _set_aside(task, outcome.error)
        else:
            left += undecided.items()
    if left:
        raise machine_failed(f"{label}: {len(left):,} {of_all}", left, _KEPT)


def _tried(
    crew: WorkerPool[WorkerDevice, Task, TaskResult], tasks: Iterator[DecodeTask], set_progress: SetProgress
) -> Iterator[tuple[DecodeTask, Undecided, Outcome[Task, TaskResult]]]:
    """Each task with its items that have no answer."""
    for outcome in crew.map(tasks):
        task = outcome.item
        assert isinstance(task, DecodeTask)
        if outcome.error:
            _raise_its_own(outcome)
            # The dead worker's answers are in its part file and are not decoded again.
            answered = ids_of_part(task.cache, task.number)
            reason = str(outcome.exception or outcome.error)
            undecided = {item.id: reason for item in task.items if item.id not in answered}
        else:
            undecided = cast(Undecided, outcome.value)
        set_progress.settle(task.number, sum(item.length_s for item in task.items if item.id not in undecided))
        yield task, undecided, outcome


def _set_aside(task: DecodeTask, error: str) -> None:
    """Write a failure as the answer to an item that kills its worker each time."""
    item = task.items[0]
    failed = Rejected(item.id, "decoder_failed", error, item.audio)
    with new_part(task.cache, task.number).open("x", encoding="utf-8", newline="\n") as file:
        file.write(write_answer(Answer(item.id, 0.0, None, failed)))


def _raise_its_own(outcome: Outcome[Task, TaskResult]) -> None:
    """Raise a worker's exception, because no item caused it. A death or an interruption of a worker is not raised."""
    if outcome.exception is None or isinstance(outcome.exception, TaskInterrupted):
        return
    logging.getLogger("k2d.file").error("in a worker: %s", outcome.error)
    if isinstance(outcome.exception, (K2DError, OSError)):
        raise outcome.exception
    raise RuntimeError(f"a decoding worker failed: {outcome.error}") from outcome.exception
