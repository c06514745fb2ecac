"""Files and folders that are either whole or not there: written beside their place, synced, renamed.

After a kill or a power cut at any moment the final name holds the old content or the new one, never a part.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

PARTIAL = ".partial"  # being written; never read as a result
REPLACED = ".replaced"  # the former content, for the instant of the swap


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """Open a text file (UTF-8, LF) that takes its final name only when the block ends well.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "counts.txt"
    >>> with writing(target) as file:
    ...     _ = file.write("in 3\\n")
    ...     target.exists()
    False
    >>> target.read_text()
    'in 3\\n'
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small file in one go, atomically."""
    with writing(path) as file:
        file.write(text)


def publish_folder(partial: Path, final: Path) -> None:
    """Give a finished folder its final name, in place of what was there."""
    sync_tree(partial)
    former = final.with_name(f".{final.name}{REPLACED}")
    shutil.rmtree(former, ignore_errors=True)
    if final.exists():
        final.rename(former)
    partial.rename(final)
    sync_folder(final.parent)
    shutil.rmtree(former, ignore_errors=True)


def partial_folder(final: Path) -> Path:
    """The name under which a folder is made before it is published: hidden, in the same parent."""
    return final.with_name(f".{final.name}{PARTIAL}")


def sync_tree(folder: Path) -> None:
    """Flush every file below a folder to the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            _sync(Path(parent, name))
        _sync(Path(parent))


def sync_folder(folder: Path) -> None:
    """Flush a folder's own entries (names, renames) to the disk."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
