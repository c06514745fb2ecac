"""Worker processes that are kept between calls, so that each does its heavy imports only once."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Generic, TypeVar

from k2d.core.workers import Outcome, Pool

Item = TypeVar("Item")
Value = TypeVar("Value")
Seat = TypeVar("Seat")


class WorkerPool(Generic[Seat, Item, Value]):
    """One worker process per seat (a device, for example). `function` gets (seat, item) and must be importable.

    A worker that dies is replaced, and its item is returned as a failed outcome. The workers end with the pool and with
    this process. The thread that calls `map` starts them and communicates with them; there is no other thread.
    """

    def __init__(self, function: Callable[[tuple[Seat, Item]], Value], seats: Sequence[Seat]) -> None:
        self.size = len(seats)
        self._pool: Pool[Item, Value] = Pool(function, [partial(_at, seat) for seat in seats])
        weakref.finalize(self, self._pool.stop)

    def map(self, items: Iterable[Item]) -> Iterator[Outcome[Item, Value]]:
        """Yield an outcome per item, in the order in which they finish; items are read as workers become free.

        K2DError if no worker can be started. If the caller leaves early, workers that are still busy are ended.
        """
        return self._pool.map(items)


def _at(seat: Seat, item: Item) -> tuple[Seat, Item]:
    return seat, item
