"""One run at a time on a folder: the second is told who holds it.

The kernel drops an flock when its holder dies, however it dies, so that no stale lock can remain.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from k2d.faults import K2DError
from k2d.paths import shown

_MOST_BYTES = 1 << 16  # of what a lock file says; anything may stand there


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a folder (by a hidden file beside it) for the time of the block; K2DError names another holder."""
    lock_file = folder.with_name(f".{folder.name}.lock")
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("ab+", buffering=0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise K2DError(f"{shown(folder)} is in use by {_holder(lock_file)}; wait until it has finished") from None
        with suppress(OSError):  # on a full disk the folder is held all the same, by a holder without a name
            file.truncate(0)
            file.write(json.dumps(_myself()).encode())
        yield
        with suppress(OSError):
            file.truncate(0)


def _myself() -> dict[str, object]:
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": now, "command": " ".join(["k2d", *sys.argv[1:]])}


def _holder(lock_file: Path) -> str:
    try:
        with lock_file.open("rb") as file:
            who = json.loads(file.read(_MOST_BYTES))
        return f"process {who['pid']} on {who['host']} since {who['since']} ({who['command']})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # whatever stands there, the folder is held
        return "another run"
