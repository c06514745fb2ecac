"""The system calls that put files and folders in place, one function each.

`k2d/core/atomic.py` makes all of its calls through this module, so that a test can stop or fail any one of them.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from pathlib import Path
from typing import TextIO

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_EXCHANGE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}  # the kernel, file system or sandbox cannot


def make_folder(path: Path) -> None:
    path.mkdir()


def open_new(path: Path) -> TextIO:
    """A text file to write (UTF-8, LF)."""
    return path.open("w", encoding="utf-8", newline="\n")


def flush(file: TextIO) -> None:
    """Pass the written data to the kernel."""
    file.flush()


def sync_file(file: TextIO) -> None:
    """Flush an open file to the disk."""
    os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Flush a file, or a folder's own entries (names, renames), to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(source: Path, target: Path) -> None:
    """Rename a file or a folder. An existing file, or an empty folder, of the target's name is replaced."""
    source.replace(target)


def exchange(one: Path, other: Path) -> bool:
    """Swap the names of two folders in one step. False if that is not possible; then nothing was done."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


def unlink(path: Path) -> None:
    path.unlink()


def remove_tree(path: Path) -> None:
    """Remove a folder with all of its content."""
    shutil.rmtree(path)
