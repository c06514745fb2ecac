"""Run a function on many items in worker processes that are allowed to die.

A crash in a C decoder takes one worker with it, never the stage: the item comes back as a failed outcome and a
new worker takes the next one. `concurrent.futures` breaks its whole pool in that case, so the loop is our own.
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
from k2d.core.worker_process import Answer, Died, NotSendable, NotStarted, WorkerProcess, packed

Item = TypeVar("Item")
Value = TypeVar("Value")

START_LIMIT_S = 600.0
"""For importing the function: a loaded machine with its libraries on a network takes minutes."""
MAX_TRIES = 3
"""Workers that do not start, one after the other, before that is taken for how things are."""
_PAUSE_S = 0.5  # before a worker is tried again; longer each time

log = logging.getLogger("k2d")


@dataclass(frozen=True)
class Outcome(Generic[Item, Value]):
    """What became of one item: a value, or an error (raised, died, took too long) with its description."""

    item: Item
    value: Value | None = None
    error: str = ""  # empty: all went well
    exception: Exception | None = None  # what the function raised, if it raised and the exception could be sent
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
    """Where one worker works: there is none, or one that is starting (not ready), idle (no item) or busy."""

    task_of: Callable[[Item], object]
    worker: WorkerProcess | None = None
    is_ready: bool = False
    items: tuple[Item, ...] = ()
    """The one that it is busy with."""
    n_failed: int = 0
    """Starts, one after the other."""

    def vacate(self) -> None:
        if self.worker is not None:
            self.worker.stop()
        self.worker, self.is_ready, self.items = None, False, ()


class Pool(Generic[Item, Value]):
    """Worker processes, one at each place, that stay until the pool is stopped.

    An item is given to a worker only when that is ready for it: a worker that cannot be started costs no item.
    """

    def __init__(
        self,
        function: Callable[[Any], Value],
        tasks: Sequence[Callable[[Item], object]],
        *,
        fresh: bool = False,
        limit_s: float | None = None,
    ) -> None:
        """`tasks` says for each place what the function is called with there for an item."""
        self._name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"
        try:
            self._function = packed(function)
        except NotSendable as problem:
            raise TypeError(f"{self._name}: found {problem}; expected a function of a module") from problem
        if not tasks:
            raise ValueError(f"{self._name}: found no place for a worker; expected at least one")
        self._places = [_Place[Item](task_of) for task_of in tasks]
        self._fresh, self._limit_s = fresh, limit_s
        self._waiting: deque[Item] = deque()  # read, and not yet given to a worker
        self._n_maps = 0

    def map(self, items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome per item, in the order in which they finish; items are read as workers become free.

        If the caller leaves early, the workers that are busy are ended: nobody finds their answers later.
        """
        self._n_maps += 1
        number, queue = self._n_maps, iter(items)
        self._drop_work()
        try:
            while self._read(queue):
                yield from self._hand_out()
                self._start_workers()
                for place in self._stirring():
                    if place.items:
                        yield from self._collect(place)
                    else:
                        self._welcome(place)
        finally:
            if number == self._n_maps:  # else the places belong to a later call
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
        """Take as many items as there are places; False if there is nothing to do any more."""
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
                except Died:  # while it was idle: not because of this item
                    place.vacate()
                    self._waiting.appendleft(item)

    # --- starting ---

    def _start_workers(self) -> None:
        """Start a worker for each item that waits for one."""
        n_missing = len(self._waiting) - sum(1 for p in self._places if p.worker is not None and not p.items)
        vacant = [place for place in self._places if place.worker is None and place.n_failed < MAX_TRIES]
        for place in vacant[: max(0, n_missing)]:
            try:
                place.worker = WorkerProcess(self._function)
            except NotStarted as problem:
                self._failed_to_start(place, problem)
                return

    def _welcome(self, place: _Place[Item]) -> None:
        """A worker that was starting is ready, or is not."""
        if place.worker is None:
            return
        try:
            place.worker.check_ready()
            place.is_ready, place.n_failed = True, 0
        except NotStarted as problem:
            place.vacate()
            self._failed_to_start(place, problem)

    def _failed_to_start(self, place: _Place[Item], problem: NotStarted) -> None:
        """Go on with the workers that there are. Without any, try again after a pause, and not for ever."""
        place.n_failed += 1
        if problem.is_final:
            raise K2DError(f"workers of {self._name} cannot start: {problem}; {self._waiting_words()}")
        if any(other.worker is not None for other in self._places):
            if place.n_failed == MAX_TRIES:
                log.warning("a worker of %s cannot start (%s); the others do its work", self._name, problem)
            return
        n_tries = max(other.n_failed for other in self._places)
        if n_tries >= MAX_TRIES:
            remedy = "use fewer processes (--nj), or raise the limits (ulimit -u, ulimit -n, memory)"
            raise K2DError(f"workers of {self._name} cannot start: {problem}; {remedy}; {self._waiting_words()}")
        time.sleep(_PAUSE_S * n_tries)

    def _waiting_words(self) -> str:
        return f"the first item that waits: {_SHORT.repr(next(iter(self._waiting), None))}"

    # --- waiting ---

    def _stirring(self) -> list[_Place[Item]]:
        """Wait until a worker has answered, is ready, died or ran out of time; the places of all that have."""
        now = time.monotonic()
        working = [(p, p.worker) for p in self._places if p.worker is not None and (p.items or not p.is_ready)]
        if not working:
            return []
        limits = {id(p): w.since + (self._limit(p)) - now for p, w in working}
        first = min(limits.values())
        handles = [handle for _, worker in working for handle in (worker.pipe, worker.sentinel)]
        ready = set(wait(handles, None if first == float("inf") else max(0.0, first)))
        waited = time.monotonic() - now
        return [p for p, w in working if w.pipe in ready or w.sentinel in ready or limits[id(p)] <= waited]

    def _limit(self, place: _Place[Item]) -> float:
        if not place.items:
            return START_LIMIT_S
        return self._limit_s if self._limit_s is not None else float("inf")

    def _collect(self, place: _Place[Item]) -> Iterator[Outcome[Item, Value]]:
        """The outcome of a worker that has answered, died or run out of time."""
        if place.worker is None or not place.items:
            return
        (item,) = place.items
        try:
            answer = place.worker.answer()
        except Died as death:
            place.vacate()
            yield Outcome(item, error=_death_words(str(death)), answered=False)
            return
        if answer is None:
            place.vacate()
            yield Outcome(item, error=f"took longer than {self._limit_s:g} s and was stopped", answered=False)
            return
        place.items = ()
        if self._fresh:
            place.vacate()
        yield _outcome(item, answer)


def _outcome(item: Item, answer: Answer) -> Outcome[Item, Any]:
    return Outcome(item, answer.value, answer.error, answer.exception)


def _death_words(how: str) -> str:
    why = "; the system does that where memory runs out: use fewer processes (--nj)" if how == "signal SIGKILL" else ""
    return f"the worker process died ({how}){why}"


_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 120
