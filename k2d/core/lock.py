"""One run at a time on a folder: the second is told who holds it, or waits for its turn.

The kernel drops an flock when its holder dies, however it dies, so that no stale lock can remain.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown

_MOST_BYTES = 1 << 16  # of what a lock file says; anything may stand there

log = logging.getLogger("k2d")


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a folder (by a hidden file beside it) for the time of the block; K2DError names another holder."""
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise K2DError(f"{shown(folder)} is in use by {_holder(file)}; wait until it has finished") from None
        with _signed(file):
            yield


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Hold a folder that several processes may want to make, for the time of the block; a second one waits.

    Whoever comes later finds it made: look for it inside the block.
    """
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("%s: waiting for %s, which makes it", shown(folder), _holder(file))
            fcntl.flock(file, fcntl.LOCK_EX)
        with _signed(file):
            yield


def _lock_file(folder: Path) -> FileIO:
    path = folder.with_name(f".{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab+", buffering=0)


@contextmanager
def _signed(lock_file: FileIO) -> Iterator[None]:
    """Say in the file who holds it. On a full disk the folder is held all the same, by a holder without a name."""
    with suppress(OSError):
        lock_file.truncate(0)
        lock_file.write(json.dumps(_myself()).encode())
    yield
    with suppress(OSError):
        lock_file.truncate(0)


def _myself() -> dict[str, object]:
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"host": socket.gethostname(), "pid": os.getpid(), "since": now, "command": " ".join(["k2d", *sys.argv[1:]])}


def _holder(lock_file: FileIO) -> str:
    try:
        lock_file.seek(0)
        who = json.loads(lock_file.read(_MOST_BYTES))
        return f"process {who['pid']} on {who['host']} since {who['since']} ({who['command']})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # whatever stands there, the folder is held
        return "another run"
