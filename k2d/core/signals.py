"""A process that is asked to end cleans up first: the signal becomes an exception, so that `finally` blocks run."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPEATED_WITHIN_S = 2.0
KEPT = "what is finished is kept; the same command goes on from there"


class Ended(SystemExit):
    """Somebody asked this process to end: Ctrl-C, a scheduler, a closed terminal. The exit code has the signal.

    It is no `Exception`, so nothing that handles failures takes it for one.
    """

    def __init__(self, number: int, kept: str = "") -> None:
        super().__init__(128 + number)
        self.number = number
        self.kept = kept
        """For the message: what is kept, and how to go on."""

    def __str__(self) -> str:
        how = f"interrupted ({signal.Signals(self.number).name})"
        return f"{how}; {self.kept}" if self.kept else how


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """In the block, signals that ask to end raise `Ended` in the main thread. Ignored ones (nohup) stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last_s = -REPEATED_WITHIN_S

    def end(number: int, _: FrameType | None) -> None:
        # One request often comes as several signals, to the process and to its group, and the second must not stop
        # the cleaning up. Later ones must be able to, as it may hang.
        nonlocal last_s
        if time.monotonic() - last_s >= REPEATED_WITHIN_S:
            last_s = time.monotonic()
            raise Ended(number)

    former = {n: signal.getsignal(n) for n in _ASKING}
    unhandled = (signal.SIG_DFL, signal.default_int_handler)
    taken = [n for n in _ASKING if former[n] in unhandled]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, former[number])
