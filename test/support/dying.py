"""A function for workers that dies in the way that its item names, and objects that cannot be pickled."""

import ctypes
import os
import signal
import sys


class NotRestored(Exception):
    """It can be pickled but not restored: its constructor needs more arguments."""

    def __init__(self, place, reason):
        super().__init__(f"{place}: {reason}")


class Unreadable:
    """It can be pickled, and reading it fails."""

    def __reduce__(self):
        return int, ("no number",)


class Unsendable:
    """It cannot be pickled, and has a long repr."""

    def __repr__(self):
        return f"Unsendable({'x' * 10_000})"

    def __reduce__(self):
        raise TypeError("this stays here")


def die(how):
    """Die in the named way: by a signal, or in another way below. Other items are returned."""
    if isinstance(how, str) and how.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, how))
    if how == "signal 36":
        os.kill(os.getpid(), 36)  # a number without a name
    if how == "crash":
        ctypes.string_at(0)
    if how == "memory":
        raise MemoryError
    if how == "sys.exit":
        sys.exit(3)
    if how == "sys.exit words":
        sys.exit("enough")
    if how == "os._exit":
        os._exit(7)
    if how == "closed pipe":
        os.closerange(3, 256)
    if how == "lambda":
        return lambda: None
    if how == "unreadable":
        return Unreadable()
    if how == "not restored":
        raise NotRestored("the cellar", "too dark")
    return how


def die_at_seat(task):
    seat, how = task
    assert seat in ("left", "right")
    return die(how)
