"""The progress of decoding. Workers write how much audio they have decoded; a thread shows it with the time left."""

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
WRITE_EVERY_S = 0.5
SUFFIX = ".heard"
"""The suffix of a file in which a worker counts the decoded seconds of a share."""


class DecodedAudio:
    """A worker's count of the seconds of audio that it has decoded of a share, in a file. Used as a context manager.

    A thread writes the file, so that a slow batch does not delay it and many fast windows do not write it more often.
    The file is created when the model is loaded. The speed is measured from then on.
    """

    def __init__(self, part: Path) -> None:
        self._path = part.with_suffix(SUFFIX)
        self._seconds = self._settled_s = 0.0
        self._written: float | None = None
        self._over = threading.Event()
        self._writer = threading.Thread(target=self._keep_written, daemon=True)

    def __enter__(self) -> DecodedAudio:
        self._write()
        self._writer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._writer.join()
        self._write()

    def add(self, seconds: float) -> None:
        """Count a decoded window."""
        self._seconds += seconds

    def settle(self, length_s: float, counted_s: float) -> None:
        """Count a finished item by its length, instead of its windows, of which `counted_s` were counted."""
        self._settled_s += length_s
        self._seconds += length_s - counted_s

    def restart(self) -> None:
        """Discard the windows of unfinished items, which are decoded again from their start."""
        self._seconds = self._settled_s

    def _keep_written(self) -> None:
        while not self._over.wait(WRITE_EVERY_S):
            self._write()

    def _write(self) -> None:
        """Write the whole file or nothing. If it cannot be written, only the display suffers, so decoding continues."""
        if self._seconds == self._written:
            return
        seconds, partial = self._seconds, self._path.with_suffix(f"{SUFFIX}.partial")
        with suppress(OSError):
            partial.write_text(f"{seconds:.1f}", encoding="ascii")
            partial.replace(self._path)
            self._written = seconds


class SetProgress:
    """The decoded audio of a set: from earlier runs, from finished shares, and from shares being decoded."""

    def __init__(self, folder: Path, first_part: int) -> None:
        self.folder, self.first_part = folder, first_part
        """The workers' folder, and the number of this run's first share. Lower numbers belong to earlier runs."""
        self.n_items, self.total_s, self.before_s = 0, 0.0, 0.0
        self._settled_s = 0.0
        self._over: set[int] = set()
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def expect(self, length_s: float, *, is_done: bool = False) -> None:
        """Add an item to the set. An item that an earlier run finished counts as decoded."""
        self.n_items += 1
        self.total_s += length_s
        self.before_s += length_s if is_done else 0.0

    def settle(self, number: int, seconds: float) -> None:
        """Count a finished share by the seconds of its items that have an answer."""
        with self._lock:
            self._settled_s += seconds
            self._over.add(number)
            for path in self.folder.glob(f"part-{number:06d}-*{SUFFIX}*"):
                path.unlink(missing_ok=True)

    def decoded_s(self) -> float | None:
        """Decoded seconds of the whole set. None before any worker of this run has started."""
        with self._lock:
            paths = [path for path in self.folder.glob(f"part-*{SUFFIX}") if number_of(path) >= self.first_part]
            under_way = [self._read(path) for path in paths if number_of(path) not in self._over]
            if not under_way and not self._over:
                return None
            return min(self.before_s + self._settled_s + sum(under_way), self.total_s)

    def _read(self, path: Path) -> float:
        """The number in a file, or its last known value if the file cannot be read or is half written."""
        with suppress(OSError, ValueError):
            seconds = float(path.read_text(encoding="ascii"))
            if math.isfinite(seconds) and seconds >= 0:
                self._last[path.name] = seconds
        return self._last.get(path.name, 0.0)


@contextmanager
def show_progress(set_progress: SetProgress, label: str) -> Iterator[None]:
    """Show how many minutes of the set are decoded, until the block ends."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(set_progress, label, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(set_progress: SetProgress, label: str, over: threading.Event) -> None:
    """Update the display until `over` is set. A failure here is logged once and does not end it."""
    with Progress(label, set_progress.total_s / 60, "min of audio", done=set_progress.before_s / 60) as progress:
        has_begun = is_logged = False
        while not over.wait(POLL_S):
            try:
                decoded_s = set_progress.decoded_s()
                if decoded_s is not None and not has_begun:
                    progress.begin()
                    has_begun = True
                progress.reach((set_progress.before_s if decoded_s is None else decoded_s) / 60)
            except Exception as error:
                if not is_logged:
                    logging.getLogger("k2d.file").warning("%s: progress cannot be shown: %r", label, error)
                is_logged = True
        with suppress(Exception):
            progress.reach((set_progress.decoded_s() or set_progress.before_s) / 60)
