"""A function for the workers of a worker pool in tests."""

import os
import signal


def at_seat(task):
    """Return the seat and the process. `die` kills the process, and `raise` raises an error."""
    seat, item = task
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "raise":
        raise ValueError("refused")
    return seat, os.getpid()
