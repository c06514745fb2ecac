"""Functions for worker processes: some succeed, others crash, raise an error, hang or are killed."""

import ctypes
import errno
import os
import signal
import time
from pathlib import Path


def square(n: int) -> int:
    return n * n


def troubled(n: int) -> int:
    """3 crashes as a C library does, 5 raises an error, 7 hangs, 8 is killed."""
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


def fails_at_first(asked: tuple[str, str]) -> int:
    """The number of tries of this item. The first try ends as the item says."""
    path, how = Path(asked[0]), asked[1]
    with path.open("a") as file:
        file.write("x")
    n_tries = len(path.read_text())
    if n_tries == 1 and how == "EIO":
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
    if n_tries == 1 and how == "SIGSEGV":
        ctypes.string_at(0)
    if n_tries == 1 and how:
        os.kill(os.getpid(), signal.Signals[how])
    return n_tries
