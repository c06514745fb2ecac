"""Worker processes that stay from one piece of work to the next, so that heavy imports are paid once per process."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from k2d.workers import Outcome, run_each

Item = TypeVar("Item")
Value = TypeVar("Value")
Seat = TypeVar("Seat")


class Crew(Generic[Seat, Item, Value]):
    """One worker process per seat (a device, say). `function` gets (seat, item) and must be importable.

    A worker that dies is replaced, and its item comes back as a failed outcome. The workers end with this process.
    """

    def __init__(self, function: Callable[[tuple[Seat, Item]], Value], seats: Sequence[Seat]) -> None:
        self._function = function
        self._tasks: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Outcome[Item, Value]] = queue.SimpleQueue()
        self.size = len(seats)
        for seat in seats:
            threading.Thread(target=self._serve, args=(seat,), daemon=True).start()

    def map(self, items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome per item, in the order in which they finish; items are read as workers become free."""
        waiting, n_out = iter(items), 0
        try:
            while True:
                while n_out < self.size and (item := next(waiting, None)) is not None:
                    self._tasks.put(item)
                    n_out += 1
                if not n_out:
                    return
                outcome = self._answers.get()
                n_out -= 1
                yield outcome
        finally:
            for _ in range(n_out):  # left early: nobody else shall find these answers
                self._answers.get()

    def _serve(self, seat: Seat) -> None:
        tasks = ((seat, item) for item in iter(self._tasks.get, None))
        for outcome in run_each(self._function, tasks, nj=1):
            _, item = outcome.item
            self._answers.put(Outcome(item, outcome.value, outcome.error, outcome.exception, outcome.answered))
