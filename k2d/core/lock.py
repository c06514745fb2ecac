"""Only one run at a time uses a folder: a second run gets an error that names the holder, or waits.

The kernel releases an flock when its holder dies, so a stale lock is not possible.
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

_MOST_BYTES = 1 << 16  # the part of a lock file that is read, whatever its content

log = logging.getLogger("k2d")


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Lock a folder (by a hidden file beside it) during the block. K2DError if another process has locked it."""
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise K2DError(f"{shown(folder)} is in use by {_holder(file)}; wait until it has finished") from None
        with _signed(file):
            yield


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Lock a folder that several processes may want to make, during the block. The others wait.

    Check inside the block whether the folder exists: an earlier process may have made it.
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
    """Write the holder into the file, for the messages of other processes."""
    now, command = time.strftime("%Y-%m-%d %H:%M:%S"), " ".join(["k2d", *sys.argv[1:]])
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": now, "command": command}
    with suppress(OSError):  # on a full disk the lock still works, but without the holder's name
        lock_file.truncate(0)
        lock_file.write(json.dumps(holder).encode())
    yield
    with suppress(OSError):
        lock_file.truncate(0)


def _holder(lock_file: FileIO) -> str:
    try:
        lock_file.seek(0)
        who = json.loads(lock_file.read(_MOST_BYTES))
        return f"process {who['pid']} on {who['host']} since {who['since']} ({who['command']})"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # invalid content: the holder is unknown
        return "another run"
