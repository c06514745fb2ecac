"""What the workers of a crew do in tests."""

import os
import signal


def at_seat(task):
    """Say at which seat, in which process; `die` kills the process, `raise` fails."""
    seat, item = task
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "raise":
        raise ValueError("refused")
    return seat, os.getpid()
