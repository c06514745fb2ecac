"""The files below a folder and their SHA-256. A process reads an unchanged file only once."""

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
"""File systems store times in steps of up to two seconds, so a new file may change again without a new time."""
_N_REMEMBERED = 100_000


class Status(NamedTuple):
    """Size, time and inode of a file. If they are equal, the file was not replaced or rewritten."""

    size_bytes: int
    mtime_ns: int
    inode: int


def status_of(path: Path) -> Status:
    return _as_status(path.stat())


def files_below(folder: Path) -> Iterator[tuple[str, Status]]:
    """The regular files below a folder by their relative names. Hidden files are skipped."""
    return _files_below(str(folder), "")


def _files_below(folder: str, prefix: str) -> Iterator[tuple[str, Status]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise K2DError(f"{shown(Path(folder))}: cannot be read ({error.strerror}); fix its permissions") from error
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _files_below(entry.path, f"{prefix}{entry.name}/")
        elif (status := _if_regular(entry)) is not None:
            yield prefix + entry.name, status


def _if_regular(entry: os.DirEntry[str]) -> Status | None:
    """None if it is not a regular file, has just been removed, or is a broken or looping link."""
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
    """The SHA-256 of a file. It is read only once while its size, time and inode stay the same."""
    if time.time_ns() - status.mtime_ns < _SETTLED_AFTER_NS:
        return read_sha256(path)
    return _remembered(str(path), status)


@lru_cache(maxsize=_N_REMEMBERED)
def _remembered(path: str, _status: Status) -> str:
    return read_sha256(Path(path))


def read_sha256(path: Path) -> str:
    """The SHA-256 of a file, computed from its bytes. All hashes of files are computed here."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
