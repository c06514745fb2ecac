"""End a process cleanly on a signal: the signal becomes an exception, so that `finally` blocks run."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPEATED_WITHIN_S = 2.0
KEPT = "finished work is kept; run the same command again to continue"


class Ended(SystemExit):
    """This process was asked to end: by Ctrl-C, a scheduler, or a closed terminal. The exit code contains the signal.

    It is not an `Exception`, so code that handles failures does not catch it.
    """

    def __init__(self, number: int, kept: str = "") -> None:
        super().__init__(128 + number)
        self.number = number
        self.kept = kept
        """For the message: what is kept, and how to continue."""

    def __str__(self) -> str:
        how = f"interrupted ({signal.Signals(self.number).name})"
        return f"{how}; {self.kept}" if self.kept else how


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """In the block, signals that ask to end raise `Ended` in the main thread. Ignored signals (nohup) stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last_s = -REPEATED_WITHIN_S

    def end(number: int, _: FrameType | None) -> None:
        # One request often causes several signals, to the process and to its group, and the second must not interrupt
        # the clean-up. Later signals must be able to, because the clean-up may hang.
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
