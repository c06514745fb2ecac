"""Progress with the time left: a bar on a terminal, otherwise a line from time to time (a log, a cluster job)."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping, Sized
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

LINE_EVERY_S = 30.0  # without a terminal
DRAWN_EVERY_S = 0.2  # on a terminal
PACE_OVER_S = 600.0
_MARK_EVERY_S = 1.0


class Pace:
    """The speed of work over the last ten minutes, or since the start if that is shorter."""

    def __init__(self, now_s: float, done: float) -> None:
        self._marks = deque([(now_s, done)])

    def record(self, now_s: float, done: float) -> None:
        """Record the amount of finished work at this time."""
        if now_s - self._marks[-1][0] >= _MARK_EVERY_S:
            self._marks.append((now_s, done))
        while len(self._marks) > 1 and now_s - self._marks[1][0] >= PACE_OVER_S:
            self._marks.popleft()

    def left_s(self, now_s: float, done: float, total: float) -> float | None:
        """The time that the rest takes at this speed. None while the speed is unknown."""
        then_s, done_then = self._marks[0]
        if done >= total:
            return 0.0
        return (now_s - then_s) * (total - done) / (done - done_then) if done > done_then else None


class Progress:
    """Counts work towards a total. Use it as a context manager, and call `update` when work is finished.

    `done` is the work of earlier runs. It counts towards the total, but not for the speed.
    """

    def __init__(
        self, label: str, total: float | None, unit: str = "", stream: TextIO | None = None, done: float = 0.0
    ) -> None:
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self.stream = stream or sys.stderr
        self._start = self._last_shown = time.monotonic()
        self._pace = Pace(self._start, done)
        self._bar = _Bar(self) if self.stream.isatty() else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._last_shown > self._start:  # lines were printed, so print the last one, too
            self._show(time.monotonic())

    def begin(self) -> None:
        """Measure the speed from now on. The time before was for other work, such as loading a model."""
        self._pace = Pace(time.monotonic(), self.done)

    def update(self, amount: float = 1) -> None:
        """Add finished work."""
        self.done += amount
        now_s = time.monotonic()
        self._pace.record(now_s, self.done)
        if now_s - self._last_shown >= (LINE_EVERY_S if self._bar is None else DRAWN_EVERY_S):
            self._show(now_s)

    def reach(self, done: float) -> None:
        """Set the finished work. A smaller amount than before (when work is repeated) has no effect."""
        self.update(max(0.0, done - self.done))

    def _show(self, now_s: float) -> None:
        self._last_shown = now_s
        if self._bar is None:
            print(f"{self.label}: {self.status()}", file=self.stream, flush=True)
        else:
            self._bar.refresh()

    def status(self) -> str:
        """The finished work, and the time left if a total is known."""
        now_s = time.monotonic()
        unit = f" {self.unit}" if self.unit else ""
        gone = clock(now_s - self._start)
        if not self.total:
            return f"{self.done:,.0f}{unit} in {gone}"
        left_s = self._pace.left_s(now_s, self.done, self.total)
        left = "?" if left_s is None else clock(left_s)
        share = f"{100 * self.done / self.total:.0f} %"
        return f"{self.done:,.0f} of {self.total:,.0f}{unit} ({share}), {gone} gone, {left} left"


class _Bar(tqdm):  # type: ignore[type-arg]
    """A bar with the text of a line. tqdm's own speed would include the work of earlier runs."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress  # set first, because tqdm draws when it is made
        form = "{desc}: {bar}| {status}" if progress.total else "{desc}: {status}"
        super().__init__(
            desc=progress.label,
            total=progress.total,
            file=progress.stream,
            leave=False,
            dynamic_ncols=True,
            bar_format=form,
        )

    @property
    def format_dict(self) -> MutableMapping[str, Any]:
        return {**super().format_dict, "n": self._progress.done, "status": self._progress.status()}


def track(items: Iterable[Item], label: str, total: float | None = None, unit: str = "") -> Iterator[Item]:
    """Yield the items and show the progress, one step for each."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(label, total, unit) as progress:
        for item in items:
            yield item
            progress.update()


def clock(seconds: float) -> str:
    """A duration as text.

    >>> clock(4.2), clock(75), clock(3 * 3600 + 62)
    ('4 s', '1 min 15 s', '3 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
