"""Explain errors of the operating system in a sentence: where, what, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from k2d.core.layout import PROJECT_ROOT, shown

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_BYTES = 1 << 20  # a file system with less free space is full

_ANOTHER_PLACE = "fix its permissions, or name another place"
_IN_THE_WAY = "a file stands where a folder is needed: move it away, or name another place"
_BROKEN_DISK = "check the disk or the network share, then run the same command again"
_FEWER = "use fewer processes (--nj), or raise the limit (ulimit -a)"

# Any other error is treated as a bug of the toolkit and shown with its traceback.
REMEDIES = {
    errno.ENOSPC: "free space there (TMPDIR names another folder for temporary files), then run the same command again",
    errno.EDQUOT: "free space there or get a larger quota, then run the same command again",
    errno.EFBIG: "the file system or `ulimit -f` allows no file of this size: raise the limit, or name another place",
    errno.EACCES: _ANOTHER_PLACE,
    errno.EPERM: _ANOTHER_PLACE,
    errno.EROFS: _ANOTHER_PLACE,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EISDIR: "a folder stands where a file is needed: move it away, or name another place",
    errno.ENOENT: "check the path",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ELOOP: "remove the loop of symbolic links",
    errno.EIO: _BROKEN_DISK,
    errno.ESTALE: _BROKEN_DISK,
    errno.EMFILE: _FEWER,
    errno.ENFILE: _FEWER,
    errno.EAGAIN: _FEWER,
    errno.ENOMEM: _FEWER,
}


def explain_os_error(error: BaseException, words: Sequence[str] = ()) -> str | None:
    """A sentence about an exception that was caused by an error of the operating system. None for all others.

    `words` are the words of the command line, one of which may be the path of the full disk.

    >>> explain_os_error(FileExistsError(errno.EEXIST, "File exists", "out"))
    'out: File exists; a file stands where a folder is needed: move it away, or name another place'
    >>> explain_os_error(ValueError("7")) is None
    True
    """
    refusal = next((each for each in _chain(error) if each.errno in REMEDIES), None)
    if refusal is None or not (refusal is error or refusal.errno in NO_ROOM):
        return None
    assert refusal.errno is not None
    return f"{_where(refusal, words)}: {refusal.strerror or refusal}; {REMEDIES[refusal.errno]}"


@contextmanager
def reporting_full_disk(path: Path) -> Iterator[None]:
    """For a library that reports a full disk in its own way: raise the system's error instead."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) or shutil.disk_usage(path.parent).free >= _FULL_BYTES:
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _chain(error: BaseException | None) -> Iterator[OSError]:
    """The OSErrors among an exception and its causes, because a library may wrap a failed write."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError):
            yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _where(error: OSError, words: Sequence[str]) -> str:
    for name in (error.filename2, error.filename):
        if isinstance(name, (str, bytes, os.PathLike)):
            return shown(Path(os.fsdecode(name)))
    if sys.stdout is not None and _is_output_stuck():
        return "standard output"
    full = _full_places(words) if error.errno in NO_ROOM else []  # a failed write does not name its file
    return " and ".join(full) or "standard output, or a file that the system does not name"


def _full_places(words: Sequence[str]) -> list[str]:
    """One folder of each full file system among those that a command may write to."""
    values = [word.partition("=")[2] or word for word in words]
    places = [PROJECT_ROOT / "exp", PROJECT_ROOT / "data", *(Path(value) for value in values if os.sep in value)]
    with suppress(OSError):
        places.append(Path(tempfile.gettempdir()))
    there = [next(folder for folder in (place, *place.absolute().parents) if folder.exists()) for place in places]
    full = {folder.stat().st_dev: shown(folder) for folder in there if shutil.disk_usage(folder).free < _FULL_BYTES}
    return list(full.values())


def _is_output_stuck() -> bool:
    """Whether standard output accepts no more data. If so, the rest of the output is dropped."""
    try:
        sys.stdout.flush()
    except OSError:  # redirect the flush at Python's end to nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
