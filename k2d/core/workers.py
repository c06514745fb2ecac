"""Run a function on many items in worker processes that may die.

A crash in a C decoder ends one worker, never the stage: the item is returned as a failed outcome, and a new worker
takes the next item. `concurrent.futures` breaks its whole pool in that case, so this module has its own loop.
"""

from __future__ import annotations

import logging
import reprlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import Any, Generic, TypeVar

from k2d.core.errors import K2DError
from k2d.core.worker_process import Died, NotSendable, NotStarted, WorkerProcess, packed

Item = TypeVar("Item")
Value = TypeVar("Value")

START_LIMIT_S = 600.0
"""The time for importing the function. It takes minutes on a busy machine with libraries on a network drive."""
MAX_TRIES = 3
"""How often a worker may fail to start before no more tries are made."""
_PAUSE_S = 0.5  # before a worker is started again; longer each time

log = logging.getLogger("k2d")


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """The result of one item: a value, or an error (raised, died, took too long) with its description."""

    item: Item
    value: Value | None = None
    error: str = ""  # empty on success
    exception: Exception | None = None  # the exception of the function, if there is one and it could be sent
    answered: bool = True  # False: the worker died, or was stopped


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
    with hidden state. `limit_s` is a wall-clock bound for an item, after which its worker is killed. K2DError if no
    worker can be started.
    """
    pool: Pool[Item, Value] = Pool(function, [lambda item: item] * nj, fresh=fresh, limit_s=limit_s)
    try:
        yield from pool.map(items)
    finally:
        pool.stop()


@dataclass
class _Place(Generic[Item]):
    """The place of one worker: empty, or with a worker that is starting (not ready), idle (no item) or busy."""

    task_of: Callable[[Item], object]
    worker: WorkerProcess | None = None
    is_ready: bool = False
    items: tuple[Item, ...] = ()
    """The item that it is working on."""
    n_failed: int = 0
    """The number of failed starts in a row."""

    def vacate(self) -> None:
        if self.worker is not None:
            self.worker.stop()
        self.worker, self.is_ready, self.items = None, False, ()


class Pool(Generic[Item, Value]):
    """Worker processes, one at each place, that are kept until the pool is stopped.

    An item is sent to a worker only when the worker is ready, so a worker that cannot be started costs no item.
    """

    def __init__(
        self,
        function: Callable[[Any], Value],
        tasks: Sequence[Callable[[Item], object]],
        *,
        fresh: bool = False,
        limit_s: float | None = None,
    ) -> None:
        """`tasks` has a function for each place, which converts an item to the argument for the worker."""
        self._name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
        try:
            self._function = packed(function)
        except NotSendable as problem:
            raise TypeError(f"{self._name}: found {problem}; expected a function of a module") from problem
        if not tasks:
            raise ValueError(f"{self._name}: found no place for a worker; expected at least one")
        self._places = [_Place[Item](task_of) for task_of in tasks]
        self._fresh, self._limit_s = fresh, limit_s
        self._waiting: deque[Item] = deque()  # read, but not sent to a worker yet
        self._n_maps = 0

    def map(self, items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome per item, in the order in which they finish. Items are read when workers become free.

        If the caller stops early, busy workers are ended, because nobody would read their answers.
        """
        self._n_maps += 1
        number, queue = self._n_maps, iter(items)
        self._drop_work()
        try:
            while self._read(queue):
                yield from self._hand_out()
                self._start_workers()
                for place in self._wait_for_events():
                    if place.items:
                        yield from self._collect(place)
                    else:
                        self._check_started(place)
        finally:
            # The caller may drop this generator long after it has called `map` again. Then the places work for the
            # later call and must not be changed.
            if number == self._n_maps:
                self._drop_work()

    def stop(self) -> None:
        """End all workers."""
        for place in self._places:
            place.vacate()

    def _drop_work(self) -> None:
        self._waiting.clear()
        for place in self._places:
            place.n_failed = 0
            if place.items:
                place.vacate()

    def _read(self, queue: Iterator[Item]) -> bool:
        """Read items until there is one for each place. False if all work is done."""
        # Not more: items may be read lazily from large files, and a failing stage must not read all of them.
        n_out = len(self._waiting) + sum(1 for place in self._places if place.items)
        for _ in range(len(self._places) - n_out):
            try:
                self._waiting.append(next(queue))
            except StopIteration:
                break
        return bool(self._waiting) or any(place.items for place in self._places)

    def _hand_out(self) -> Iterator[Outcome[Item, Value]]:
        """Give waiting items to idle workers."""
        for place in self._places:
            while self._waiting and place.worker is not None and place.is_ready and not place.items:
                item = self._waiting.popleft()
                try:
                    task = packed(place.task_of(item))
                except NotSendable as problem:
                    what = f"an item cannot be sent to a worker of {self._name}: {problem}"
                    yield Outcome(item, error=f"{what}; give it what can be pickled; the item: {_SHORT.repr(item)}")
                    continue
                try:
                    place.worker.give(task)
                    place.items = (item,)
                except Died:
                    # It died while it was idle, so the item is not the cause and is sent to another worker.
                    place.vacate()
                    self._waiting.appendleft(item)

    # --- starting ---

    def _start_workers(self) -> None:
        """Start a worker for each waiting item."""
        n_missing = len(self._waiting) - sum(1 for p in self._places if p.worker is not None and not p.items)
        vacant = [place for place in self._places if place.worker is None and place.n_failed < MAX_TRIES]
        for place in vacant[: max(0, n_missing)]:
            try:
                place.worker = WorkerProcess(self._function)
            except NotStarted as problem:
                self._failed_to_start(place, problem)
                return

    def _check_started(self, place: _Place[Item]) -> None:
        """Record that a worker is ready, or that it failed to start."""
        if place.worker is None:
            return
        try:
            place.worker.check_ready()
            place.is_ready, place.n_failed = True, 0
        except NotStarted as problem:
            place.vacate()
            self._failed_to_start(place, problem)

    def _failed_to_start(self, place: _Place[Item], problem: NotStarted) -> None:
        """Continue with the other workers. Without any, try again after a pause, up to `MAX_TRIES` times."""
        place.n_failed += 1
        if problem.is_final:
            raise K2DError(f"workers of {self._name} cannot start: {problem}; {self._first_waiting()}")
        # The system may refuse one more process and still run the existing ones: slower, but the work gets done.
        if any(other.worker is not None for other in self._places):
            if place.n_failed == MAX_TRIES:
                log.warning("a worker of %s cannot start (%s); the others do its work", self._name, problem)
            return
        n_tries = max(other.n_failed for other in self._places)
        if n_tries >= MAX_TRIES:
            remedy = "use fewer processes (--nj), or raise the limits (ulimit -u, ulimit -n, memory)"
            raise K2DError(f"workers of {self._name} cannot start: {problem}; {remedy}; {self._first_waiting()}")
        time.sleep(_PAUSE_S * n_tries)

    def _first_waiting(self) -> str:
        return f"the first waiting item: {_SHORT.repr(next(iter(self._waiting), None))}"

    # --- waiting ---

    def _wait_for_events(self) -> list[_Place[Item]]:
        """Wait until a worker has answered, is ready, has died or has run out of time. Returns all such places."""
        now = time.monotonic()
        working = [(p, p.worker) for p in self._places if p.worker is not None and (p.items or not p.is_ready)]
        if not working:
            return []
        item_limit_s = self._limit_s if self._limit_s is not None else float("inf")
        limits = {id(p): w.since + (item_limit_s if p.items else START_LIMIT_S) - now for p, w in working}
        first = min(limits.values())
        # Pipes report answers. Sentinels report deaths, because a pipe may stay open after its worker's death: a
        # process started by the worker may hold it.
        handles = [handle for _, worker in working for handle in (worker.pipe, worker.sentinel)]
        ready = set(wait(handles, None if first == float("inf") else max(0.0, first)))
        waited = time.monotonic() - now
        return [p for p, w in working if w.pipe in ready or w.sentinel in ready or limits[id(p)] <= waited]

    def _collect(self, place: _Place[Item]) -> Iterator[Outcome[Item, Value]]:
        """The outcome of a worker that has answered, died or run out of time."""
        if place.worker is None or not place.items:
            return
        (item,) = place.items
        try:
            answer = place.worker.answer()
        except Died as death:
            place.vacate()
            error = f"the worker process died ({death})"
            if str(death) == "signal SIGKILL":
                error += "; the system does that if memory runs out: use fewer processes (--nj)"
            yield Outcome(item, error=error, answered=False)
            return
        if answer is None:
            place.vacate()
            yield Outcome(item, error=f"took longer than {self._limit_s:g} s and was stopped", answered=False)
            return
        # Free the place before the outcome is yielded, because the caller may never ask for the next one.
        place.items = ()
        if self._fresh:
            place.vacate()
        yield Outcome(item, answer.value, answer.error, answer.exception)


_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 120
