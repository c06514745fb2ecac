"""Files and folders that are either complete or absent: they are written beside their place, synced and renamed.

After a kill or a power cut, the final name always has either the old content or the new one, never a part. Two folders
change places in one step if the system supports it (`renameat2`). Otherwise two renames are needed. A kill between them
leaves the old folder under its `.replaced` name, and `restore` moves it back.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from k2d.core import file_calls
from k2d.core.system_errors import NO_ROOM

PARTIAL = ".partial"  # being written; never read as a result
REPLACED = ".replaced"  # the former content, during the swap

_PROBE_BYTES = 1 << 16
_NAME_BYTES = 100  # of the final name that are part of a temporary name, which must not be too long


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Open a text file (UTF-8, LF) that gets its final name only if the block succeeds.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "counts.txt"
    >>> with writing(target) as file:
    ...     _ = file.write("in 3\\n")
    ...     target.exists()
    False
    >>> target.read_text()
    'in 3\\n'
    """
    partial = partial_file(path)
    make_folders(path.parent)
    try:
        with file_calls.open_new(partial) as file:
            yield file
            file_calls.flush(file)
            file_calls.sync_file(file)
        file_calls.rename(partial, path)
    except BaseException as error:
        with suppress(OSError):
            file_calls.unlink(partial)
        if isinstance(error, OSError):
            _set_filename(error, partial, path)
        raise
    # A rename is durable only after its folder has been synced, too.
    sync_folder(path.parent)


def _set_filename(error: OSError, partial: Path, path: Path) -> None:
    """Make an error name the file that the user knows. Python's error of a failed write names no file."""
    if error.filename == str(partial) or (error.filename is None and error.errno in NO_ROOM):
        error.filename, error.filename2 = str(path), None


def write_text(path: Path, text: str) -> None:
    """Write a small file in one go, atomically."""
    with writing(path) as file:
        file.write(text)


def partial_file(path: Path) -> Path:
    """A name for an unfinished file: hidden, unique, in the same folder (a rename cannot cross file systems)."""
    # It contains host and process, because several nodes of a cluster may write into one shared folder.
    name = path.name.encode()[:_NAME_BYTES].decode(errors="ignore")
    return path.with_name(f".{name}.{os.uname().nodename}.{os.getpid()}.{secrets.token_hex(4)}{PARTIAL}")


def partial_folder(final: Path) -> Path:
    """The name of a folder until it is published: hidden, in the same parent."""
    return final.with_name(f".{final.name}{PARTIAL}")


def new_partial_folder(final: Path) -> Path:
    """An empty folder to fill and publish. The remains of an earlier run are removed."""
    partial = partial_folder(final)
    _remove(partial)
    make_folders(partial)
    return partial


def publish_folder(partial: Path, final: Path) -> None:
    """Give a finished folder its final name, and remove the folder that had it before."""
    # Sync the content before the name: otherwise a power cut may leave a name with empty files.
    sync_tree(partial)
    restore(final)
    former = _former(final)
    if not os.path.lexists(final):
        file_calls.rename(partial, final)
    elif file_calls.exchange(partial, final):
        with suppress(OSError):  # the new content is in place, so failing to remove the old one is no failure
            file_calls.rename(partial, former)
    else:
        _rename_twice(partial, final)
    sync_folder(final.parent)
    with suppress(OSError):  # a reader may still use its files; `restore` removes the rest
        _remove(former)


def _rename_twice(partial: Path, final: Path) -> None:
    file_calls.rename(final, _former(final))
    try:
        file_calls.rename(partial, final)
    except OSError:
        restore(final)
        raise


def restore(final: Path) -> bool:
    """Clean up after a kill in the middle of `publish_folder`. True if the old folder was moved back.

    The caller ensures that nobody else publishes this folder at the same time.
    """
    former = _former(final)
    if not os.path.lexists(former):
        return False
    if os.path.lexists(final):  # the new folder is in place, and only the old one has not been removed yet
        with suppress(OSError):
            _remove(former)
        return False
    file_calls.rename(former, final)
    sync_folder(final.parent)
    return True


def replaced_in(folder: Path) -> list[Path]:
    """The final names of the folders whose replacement was not finished."""
    found = sorted(folder.glob(f".*{REPLACED}"))
    return [path.with_name(path.name[1:].removesuffix(REPLACED)) for path in found]


def try_writing(folder: Path) -> None:
    """Make a folder and write into it, so that an OSError is raised at once and not after hours of work."""
    make_folders(folder)
    probe = partial_file(folder / "probe")
    try:
        with file_calls.open_new(probe) as file:
            file.write(" " * _PROBE_BYTES)
            file_calls.flush(file)
            file_calls.sync_file(file)
    except OSError as error:
        _set_filename(error, probe, folder)
        raise
    finally:
        with suppress(OSError):
            file_calls.unlink(probe)


def make_folders(path: Path) -> None:
    """Make a folder and its missing parents, each synced to the disk."""
    if path.is_dir():
        return
    make_folders(path.parent)
    with suppress(FileExistsError):
        file_calls.make_folder(path)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    sync_folder(path.parent)


def sync_tree(folder: Path) -> None:
    """Flush every file below a folder to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            file_calls.sync(Path(parent, name))
        file_calls.sync(Path(parent))


def sync_folder(folder: Path) -> None:
    """Flush a folder's own entries (names, renames) to the disk."""
    file_calls.sync(folder)


def _former(final: Path) -> Path:
    return final.with_name(f".{final.name}{REPLACED}")


def _remove(path: Path) -> None:
    """Remove a folder, a file or a link, if it exists."""
    if path.is_dir() and not path.is_symlink():
        file_calls.remove_tree(path)
    elif os.path.lexists(path):
        file_calls.unlink(path)
