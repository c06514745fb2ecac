"""Run a function on many items in worker processes that are allowed to die.

A crash in a C decoder takes one worker with it, never the stage: the item comes back as a failed outcome and a
new worker takes the next one. `concurrent.futures` breaks its whole pool in that case, so the loop is our own.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")

_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: a value, or an error (raised, died, took too long) with its description."""

    item: Item
    value: Value | None = None
    error: str = ""  # empty: all went well
    exception: Exception | None = None  # what the function raised, if it raised
    answered: bool = True  # False: the worker died, or was stopped


@dataclass
class _Worker(Generic[Item]):
    process: SpawnProcess
    pipe: Connection
    item: Item
    started: float = field(default_factory=time.monotonic)


def run_each(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    *,
    nj: int,
    fresh: bool = False,
    limit_s: float | None = None,
) -> Iterator[Outcome[Item, Value]]:
    """Yield an outcome per item, in the order in which they finish; `items` is read only as workers become free.

    `function` must be importable (a module-level function). `fresh` gives every item a new process, for libraries
    with hidden state. `limit_s` is a wall-clock bound for an item, after which its worker is killed.
    """
    queue = iter(items)
    busy: list[_Worker[Item]] = []
    idle: list[_Worker[Item]] = []
    try:
        while True:
            while len(busy) < nj:
                try:
                    item = next(queue)
                except StopIteration:
                    break
                busy.append(_assign(function, item, idle))
            if not busy:
                return
            for worker in _finished(busy, limit_s):
                busy.remove(worker)
                outcome: Outcome[Item, Value] = _collect(worker, limit_s)
                if outcome.answered and not fresh:
                    idle.append(worker)
                else:
                    _stop(worker)
                yield outcome
    finally:
        for worker in busy + idle:
            _stop(worker)


def _assign(function: Callable[[Item], Value], item: Item, idle: list[_Worker[Item]]) -> _Worker[Item]:
    while idle:
        worker = idle.pop()
        worker.item, worker.started = item, time.monotonic()
        try:
            worker.pipe.send(item)
        except (BrokenPipeError, OSError):  # it died while it was idle
            _stop(worker)
            continue
        return worker
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve, args=(function, theirs), daemon=True)
    process.start()
    theirs.close()
    with contextlib.suppress(BrokenPipeError):  # it died at once: seen when it is collected
        ours.send(item)
    return _Worker(process, ours, item)


def _finished(busy: list[_Worker[Item]], limit_s: float | None) -> list[_Worker[Item]]:
    """Wait until at least one worker has answered, died or run out of time."""
    timeout = None
    if limit_s is not None:
        timeout = max(0.0, min(w.started for w in busy) + limit_s - time.monotonic())
    handles = [handle for w in busy for handle in (w.pipe, w.process.sentinel)]
    ready = set(wait(handles, timeout))
    now = time.monotonic()
    late = limit_s if limit_s is not None else float("inf")
    return [w for w in busy if w.pipe in ready or w.process.sentinel in ready or now - w.started >= late]


def _collect(worker: _Worker[Item], limit_s: float | None) -> Outcome[Item, Value]:
    """The outcome of a worker that has answered, died or run out of time."""
    try:
        if worker.pipe.poll():
            value, error, exception = worker.pipe.recv()
            return Outcome(worker.item, value, error, exception)
    except (EOFError, OSError):
        pass  # it died; told below
    worker.process.join(timeout=1.0)
    code = worker.process.exitcode
    if code is None:
        return Outcome(worker.item, error=f"took longer than {limit_s:g} s and was stopped", answered=False)
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Outcome(worker.item, error=f"the worker process died ({how})", answered=False)


def _stop(worker: _Worker[Item]) -> None:
    worker.pipe.close()
    if worker.process.is_alive():
        worker.process.kill()
    worker.process.join()
    worker.process.close()


def _serve(function: Callable[[Item], Value], pipe: Connection) -> None:
    """The worker's loop. It ends when the parent closes the pipe, also when the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    while True:
        try:
            item = pipe.recv()
        except (EOFError, OSError):
            os._exit(0)
        answer: tuple[Value | None, str, Exception | None]
        try:
            answer = (function(item), "", None)
        except Exception as exception:
            answer = (None, "".join(traceback.format_exception_only(exception)).strip(), exception)
        try:
            pipe.send(answer)
        except (BrokenPipeError, OSError):
            os._exit(0)
        except Exception as problem:  # the value or the exception cannot be pickled
            pipe.send((None, answer[1] or f"the result cannot be sent back: {problem}", None))
