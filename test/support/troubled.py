"""Functions for worker processes: some go well, some crash, raise, hang or are killed."""

import ctypes
import os
import signal
import time


def square(n: int) -> int:
    return n * n


def troubled(n: int) -> int:
    """3 crashes as a C library does, 5 raises, 7 hangs, 8 is killed."""
    if n == 3:
        ctypes.string_at(0)
    if n == 5:
        raise ValueError("five is refused")
    if n == 7:
        time.sleep(60)
    if n == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return n * n


def process_id(_: int) -> int:
    return os.getpid()


def unpicklable(_: int) -> object:
    return lambda: None
