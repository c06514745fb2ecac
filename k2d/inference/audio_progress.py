"""How far decoding is: workers write how much they have heard, and a thread shows it with the time left."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from k2d.core.progress import Progress
from k2d.pipeline.answer_parts import number_of

POLL_S = 1.0
HEARD_EVERY_S = 0.5
HEARD = ".heard"


class Heard:
    """A worker's side: seconds of audio that it has heard of a share, in a file. Use as a context manager.

    A thread writes the file, so that it is up to date while a batch takes its time, and seldom where windows fly by.
    The file is there once there is a model: from then on the pace is measured.
    """

    def __init__(self, part: Path) -> None:
        self._path = part.with_suffix(HEARD)
        self._seconds = self._settled_s = 0.0
        self._written: float | None = None
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._keep_written, daemon=True)

    def __enter__(self) -> Heard:
        self._write()
        self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._writer.join()
        self._write()

    def add(self, seconds: float) -> None:
        """A window has been heard."""
        self._seconds += seconds

    def settle(self, length_s: float, heard_s: float) -> None:
        """An item is through: it counts with its length, in place of those of its windows that were added."""
        self._settled_s += length_s
        self._seconds += length_s - heard_s

    def restart(self) -> None:
        """What is not through is heard again from its start."""
        self._seconds = self._settled_s

    def _keep_written(self) -> None:
        while not self._over.wait(HEARD_EVERY_S):
            self._write()

    def _write(self) -> None:
        """Whole, or not at all. It is for show: where it cannot be written, decoding goes on."""
        if self._seconds == self._written:
            return
        seconds, partial = self._seconds, self._path.with_suffix(f"{HEARD}.partial")
        with suppress(OSError):
            partial.write_text(f"{seconds:.1f}", encoding="ascii")
            partial.replace(self._path)
            self._written = seconds


class Gauge:
    """How much audio of a set has been heard: in earlier runs, in shares that are over, and in those under way."""

    def __init__(self, folder: Path, first_part: int) -> None:
        self.folder, self.first_part = folder, first_part
        """Where workers write, and the number of this run's first share: lower ones are of earlier runs."""
        self.n_items, self.total_s, self.before_s = 0, 0.0, 0.0
        self._settled_s = 0.0
        self._over: set[int] = set()
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def expect(self, length_s: float, *, is_done: bool = False) -> None:
        """Add an item to the set; one that an earlier run has done counts from the beginning."""
        self.n_items += 1
        self.total_s += length_s
        self.before_s += length_s if is_done else 0.0

    def settle(self, number: int, seconds: float) -> None:
        """A share is over: so much of it has been decided."""
        with self._lock:
            self._settled_s += seconds
            self._over.add(number)
            for path in self.folder.glob(f"part-{number:06d}-*{HEARD}*"):
                path.unlink(missing_ok=True)

    def heard_s(self) -> float | None:
        """Seconds of the whole set; None before any worker of this run has begun."""
        with self._lock:
            under_way = [self._read(path) for path in self.folder.glob(f"part-*{HEARD}") if self._is_under_way(path)]
            if not under_way and not self._over:
                return None
            return min(self.before_s + self._settled_s + sum(under_way), self.total_s)

    def _is_under_way(self, path: Path) -> bool:
        number = number_of(path)
        return number >= self.first_part and number not in self._over

    def _read(self, path: Path) -> float:
        """What a file says, or (where it cannot be read, or says no number) what it said before."""
        with suppress(OSError, ValueError):
            seconds = float(path.read_text(encoding="ascii"))
            if math.isfinite(seconds) and seconds >= 0:
                self._last[path.name] = seconds
        return self._last.get(path.name, 0.0)


@contextmanager
def showing(gauge: Gauge, label: str) -> Iterator[None]:
    """Show how many minutes of the set have been heard, for the time of the block."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(gauge, label, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(gauge: Gauge, label: str, over: threading.Event) -> None:
    """Until it is over. What goes wrong here is told once in the log, and does not end the show."""
    with Progress(label, gauge.total_s / 60, "min of audio", done=gauge.before_s / 60) as progress:
        has_begun = is_told = False
        while not over.wait(POLL_S):
            try:
                heard_s = gauge.heard_s()
                if heard_s is not None and not has_begun:
                    progress.begin()
                    has_begun = True
                progress.reach((gauge.before_s if heard_s is None else heard_s) / 60)
            except Exception as error:
                if not is_told:
                    logging.getLogger("k2d.file").warning("%s: progress cannot be shown: %r", label, error)
                is_told = True
        with suppress(Exception):
            progress.reach((gauge.heard_s() or gauge.before_s) / 60)
