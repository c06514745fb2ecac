"""Unpack tar and zip archives from others. The whole archive is checked first; it is unpacked as a whole or not at all.

Only plain files and folders with relative names are accepted. Everything else is reported in one message, and nothing
is written: absolute names, `..`, links, devices, a name that occurs twice, an archive beyond the limits. Modes, owners
and times in the archive are ignored. An archive in parts (`x.tar.gz00`, `x.tar.gz01`, …) is given as a list of its
parts in order.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import K2DError
from k2d.core.progress import Progress
from k2d.data.raw.archive_members import Archive, Entry, opened_archive
from k2d.data.raw.joined import Joined

SHOWN_FAULTS = 10
MAX_NAME_BYTES = 255  # of one part of a path, in all common file systems
MAX_PATH_BYTES, MAX_DEPTH = 2_048, 100  # Linux allows paths of 4,096 bytes, which include the destination's path
COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an archive may be. Beyond this, it is treated as an archive bomb."""

    members: int = 5_000_000
    ratio: int = 100
    """Unpacked bytes divided by packed bytes. Audio is hardly compressed; tables of text are compressed about tenfold.
    """
    always_bytes: int = 1 << 28
    """Unpacked bytes that are always accepted, whatever the ratio."""

    def bytes_for(self, packed: int) -> int:
        return max(self.always_bytes, self.ratio * packed)


@dataclass
class _Looked:
    """The entries of an archive that have been checked so far, and their faults."""

    limits: Limits
    max_bytes: int
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    n_members: int = 0
    n_bytes: int = 0
    n_faults: int = 0
    faults: list[str] = field(default_factory=list)

    def fault(self, message: str) -> None:
        self.n_faults += 1
        if len(self.faults) < SHOWN_FAULTS:
            self.faults.append(message)

    def add(self, entry: Entry) -> bool:
        """Check an entry. False if the rest of the archive need not be checked."""
        self.n_members += 1
        if problem := entry.problem or name_fault(entry.name):
            self.fault(f"{entry.name[:80]!r} {problem}")
        elif entry.is_folder:
            self.folders.add(_normal(entry.name))
        else:
            self._add_file(_normal(entry.name), entry.n_bytes)
        if self.n_members > self.limits.members:
            self.fault(f"it has more than {self.limits.members:,} members")
        if self.n_bytes > self.max_bytes:
            self.fault(f"it unpacks to more than {self.max_bytes:,} bytes")
        return self.n_members <= self.limits.members and self.n_bytes <= self.max_bytes

    def _add_file(self, name: str, n_bytes: int) -> None:
        if name in self.files:
            self.fault(f"{name!r} is there twice")
        self.files.add(name)
        self.folders.update(str(parent) for parent in PurePosixPath(name).parents)
        self.n_bytes += n_bytes

    def close(self) -> None:
        for name in sorted(self.files & self.folders)[:SHOWN_FAULTS]:
            self.fault(f"{name!r} is a file and a folder")


def extract(archive: Path | Sequence[Path], destination: Path, limits: Limits = Limits()) -> int:
    """Unpack an archive as the new folder `destination`, as a whole or not at all. Returns the number of files."""
    if destination.exists():
        raise K2DError(f"{destination}: is there already; move it away, or unpack to another place")
    looked = _look_through(archive, limits)
    _check_space(destination, looked.n_bytes)
    partial = new_partial_folder(destination)
    try:
        with (
            Progress(f"{_title(archive)}: unpacking", looked.n_bytes, "B") as progress,
            _opened(archive) as opened,
        ):
            for entry in opened.entries():
                if not entry.is_folder:
                    _write(opened.open(entry), entry.n_bytes, partial / entry.name)
                    progress.update(entry.n_bytes)
        publish_folder(partial, destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return len(looked.files)


def check(archive: Path | Sequence[Path], limits: Limits = Limits()) -> int:
    """Check an archive without unpacking it. Raises with all of its faults; returns the number of files."""
    return len(_look_through(archive, limits).files)


def name_fault(name: str) -> str:
    """Why a member's name cannot be used as a path below a folder. Empty if it can.

    >>> name_fault("clips/課 1.mp3"), name_fault("/etc/passwd"), name_fault("a/../../b")
    ('', 'has an absolute name', "has '..' in its name")
    """
    if name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        return "has an absolute name"
    if "\\" in name:
        return "has a backslash in its name"
    parts = name.split("/")
    if ".." in parts:
        return "has '..' in its name"
    if not name or any(ord(char) < 32 or ord(char) == 127 for char in name):
        return "has an empty name, or a control character in it"
    if not _is_utf8(name):
        return "has a name that is not UTF-8"
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        return f"has a name of more than {MAX_NAME_BYTES} bytes"
    if len(name.encode()) > MAX_PATH_BYTES:
        return f"has a path of more than {MAX_PATH_BYTES:,} bytes"
    return f"lies more than {MAX_DEPTH} folders deep" if len(parts) > MAX_DEPTH + 1 else ""


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _look_through(archive: Path | Sequence[Path], limits: Limits) -> _Looked:
    n_packed = sum(path.stat().st_size for path in _parts(archive))
    looked = _Looked(limits, limits.bytes_for(n_packed))
    with _opened(archive) as opened:
        for entry in opened.entries():
            if not looked.add(entry):
                break
    looked.close()
    if not looked.n_faults and not looked.files:
        looked.fault("it holds no file")
    if looked.n_faults:
        more = looked.n_faults - len(looked.faults)
        lines = [*looked.faults, *([f"… and {more:,} more"] if more else [])]
        raise K2DError(
            "\n  ".join([f"{_title(archive)}: nothing of it was unpacked, because", *lines])
            + "\ndo not unpack it by other means either; is it the file that its publisher made?"
        )
    return looked


def _opened(archive: Path | Sequence[Path]) -> AbstractContextManager[Archive]:
    return opened_archive(_raw(archive), _title(archive))


def _raw(archive: Path | Sequence[Path]) -> BinaryIO:
    parts = _parts(archive)
    return parts[0].open("rb") if len(parts) == 1 else cast("BinaryIO", io.BufferedReader(Joined(parts), COPY_BYTES))


def _write(source: IO[bytes], n_bytes: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target, COPY_BYTES)
        if target.tell() != n_bytes:
            raise EOFError(f"{path.name} has {target.tell():,} of its {n_bytes:,} bytes")


def _check_space(destination: Path, n_bytes: int) -> None:
    there = next(folder for folder in destination.absolute().parents if folder.exists())
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise K2DError(f"{there}: {n_bytes:,} bytes are needed, {free:,} are free; unpack to a larger disk")


def _parts(archive: Path | Sequence[Path]) -> Sequence[Path]:
    parts = [archive] if isinstance(archive, Path) else archive
    if missing := [str(path) for path in parts if not path.is_file()]:
        raise K2DError(f"no such archive: {', '.join(missing)}")
    return parts


def _title(archive: Path | Sequence[Path]) -> str:
    parts = _parts(archive)
    return str(parts[0]) if len(parts) == 1 else f"{parts[0]} and {len(parts) - 1} parts more"


def _normal(name: str) -> str:
    return str(PurePosixPath(name))
