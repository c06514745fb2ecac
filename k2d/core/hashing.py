"""Files below a folder, and their SHA-256: a file that does not change is read once by a process."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from k2d.core.errors import K2DError
from k2d.core.layout import shown

_SETTLED_AFTER_NS = 2 * 10**9
"""File systems tell time in steps of up to two seconds: a file that was just written may change within its step."""
_N_REMEMBERED = 100_000


class Status(NamedTuple):
    """What tells without reading it that a file is another one, or was written anew."""

    size_bytes: int
    mtime_ns: int
    inode: int


def status_of(path: Path) -> Status:
    return _as_status(path.stat())


def files_below(folder: Path) -> Iterator[tuple[str, Status]]:
    """The regular files below a folder by their names in it; what is hidden is left out."""
    return _files_below(str(folder), "")


def _files_below(folder: str, prefix: str) -> Iterator[tuple[str, Status]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise K2DError(f"{shown(Path(folder))}: cannot be read ({error.strerror}); mend its permissions") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, f"{prefix}{entry.name}/")
        elif (status := _if_regular(entry)) is not None:
            yield prefix + entry.name, status


def _if_regular(entry: os.DirEntry[str]) -> Status | None:
    """None for what is no regular file, has just gone, or is a link that leads nowhere or in a circle."""
    try:
        found = entry.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return None
        raise
    return _as_status(found) if stat.S_ISREG(found.st_mode) else None


def _as_status(found: os.stat_result) -> Status:
    return Status(found.st_size, found.st_mtime_ns, found.st_ino)


def sha256_of(path: Path, status: Status) -> str:
    """The SHA-256 of a file, which is read once as long as its size, time and inode stay what they are."""
    if time.time_ns() - status.mtime_ns < _SETTLED_AFTER_NS:
        return read_sha256(path)
    return _remembered(str(path), status)


@lru_cache(maxsize=_N_REMEMBERED)
def _remembered(path: str, _status: Status) -> str:
    return read_sha256(Path(path))


def read_sha256(path: Path) -> str:
    """The SHA-256 of a file, from its bytes: the only place where files are read for their hash."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
