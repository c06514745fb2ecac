"""Progress with the time left: a bar on a terminal, a line every so often elsewhere (a log, a cluster job)."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

LINE_EVERY_S = 30.0  # off a terminal


class Progress:
    """Counts work done towards a total. Use as a context manager; `update` as work finishes."""

    def __init__(self, label: str, total: float | None, unit: str = "", stream: TextIO | None = None) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.stream = stream or sys.stderr
        self.done = 0.0
        self._start = self._last_line = time.monotonic()
        self._bar = (
            tqdm(desc=label, total=total, unit=unit or "it", file=self.stream, leave=False, dynamic_ncols=True)
            if self.stream.isatty()
            else None
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._last_line > self._start:  # it was long enough to speak of: say how it ended
            self._print_line()

    def update(self, amount: float = 1) -> None:
        self.done += amount
        if self._bar is not None:
            self._bar.update(amount)
        elif time.monotonic() - self._last_line >= LINE_EVERY_S:
            self._print_line()

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        print(self.line(self._last_line - self._start), file=self.stream, flush=True)

    def line(self, elapsed_s: float) -> str:
        """One line of progress after `elapsed_s` seconds, with the time left where a total is known."""
        unit = f" {self.unit}" if self.unit else ""
        if not self.total:
            return f"{self.label}: {self.done:,.0f}{unit} in {clock(elapsed_s)}"
        left = clock(elapsed_s * (self.total - self.done) / self.done) if self.done else "?"
        done = f"{self.done:,.0f} of {self.total:,.0f}{unit} ({100 * self.done / self.total:.0f} %)"
        return f"{self.label}: {done}, {clock(elapsed_s)} gone, {left} left"


def track(items: Iterable[Item], label: str, total: float | None = None, unit: str = "") -> Iterator[Item]:
    """Yield the items, showing progress by one each."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(label, total, unit) as progress:
        for item in items:
            yield item
            progress.update()


def clock(seconds: float) -> str:
    """A duration for people.

    >>> clock(4.2), clock(75), clock(3 * 3600 + 62)
    ('4 s', '1 min 15 s', '3 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
