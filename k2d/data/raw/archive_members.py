"""The members of an open tar or zip archive. Its content shows which of the two it is. Damage becomes a K2DError."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, BinaryIO, Protocol, cast

from k2d.core.errors import K2DError

MAX_READ_BYTES = 1 << 20  # also the longest header of a tar that is read: a damaged one may state gigabytes
ZIP_MAGIC = b"PK\x03\x04"
_ZIP_END_MAGIC, _ZIP_END_BYTES, _MAX_COMMENT_BYTES = b"PK\x05\x06", 22, 0xFFFF
_JOINED = "are two archives put together? Cut them apart"

# Everything that the libraries raise for damaged bytes (a BadGzipFile is an OSError).
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # raised by zipfile for an unknown compression
    EOFError,
    OSError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as the archive describes it, not yet trusted. `problem` says why it is refused; empty if it is not."""

    name: str
    n_bytes: int
    is_folder: bool
    problem: str
    handle: tarfile.TarInfo | zipfile.ZipInfo


class Archive(Protocol):
    """An archive that is read forward only: open an entry before you ask for the next one."""

    def entries(self) -> Iterator[Entry]: ...

    def open(self, entry: Entry) -> IO[bytes]: ...


@contextmanager
def opened_archive(raw: BinaryIO, title: str) -> Iterator[Archive]:
    """The archive in an open file, recognised by its content. All reading must be done inside this context."""
    try:
        with ExitStack() as stack:
            stack.enter_context(raw)
            is_zip = raw.read(len(ZIP_MAGIC)) == ZIP_MAGIC
            raw.seek(0)
            yield _ZipArchive(raw, stack) if is_zip else _TarArchive(raw, stack)
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:  # a fault of the disk, not of the archive
            raise
        message = f"is damaged, cut off, or no tar or zip archive: {error or type(error).__name__}"
        raise K2DError(f"{title}: {message}; fetch it again") from error


class _ZipArchive:
    def __init__(self, raw: BinaryIO, stack: ExitStack) -> None:
        self._zip = stack.enter_context(zipfile.ZipFile(raw))
        self._raw = raw

    def entries(self) -> Iterator[Entry]:
        self._check_ends()
        for info in self._zip.infolist():
            yield Entry(info.orig_filename, info.file_size, info.is_dir(), _zip_problem(info), info)

    def open(self, entry: Entry) -> IO[bytes]:
        return self._zip.open(cast("zipfile.ZipInfo", entry.handle))

    def _check_ends(self) -> None:
        """Raise if there are bytes before the first member or after the end record. zipfile ignores them."""
        first = min((info.header_offset for info in self._zip.infolist()), default=0)
        if first:
            raise zipfile.BadZipFile(f"its first member begins at byte {first:,}: {_JOINED}")
        n_bytes = self._raw.seek(0, io.SEEK_END)
        self._raw.seek(max(0, n_bytes - _ZIP_END_BYTES - _MAX_COMMENT_BYTES))
        tail = self._raw.read()
        n_rest = len(tail) - tail.rfind(_ZIP_END_MAGIC) - _ZIP_END_BYTES - len(self._zip.comment)
        if n_rest:
            raise zipfile.BadZipFile(f"{n_rest:,} bytes follow its end record: {_JOINED}")


class _TarArchive:
    def __init__(self, raw: BinaryIO, stack: ExitStack) -> None:
        self._stream = stack.enter_context(_decompressed(raw))
        self._bounded = _Bounded(self._stream)
        self._tar = stack.enter_context(tarfile.TarFile(fileobj=cast("IO[bytes]", self._bounded)))

    def entries(self) -> Iterator[Entry]:
        while (info := self._tar.next()) is not None:
            if info.size < 0:
                raise tarfile.ReadError(f"{info.name[:80]!r} has {info.size} bytes")  # the reader would go backwards
            yield Entry(info.name, info.size, info.isdir(), _tar_problem(info), info)
            self._tar.members.clear()  # type: ignore[attr-defined]  # tarfile keeps them all
        self._stream.seek(self._tar.offset)
        if self._stream.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("it has no end mark")  # tarfile reads a cut or damaged header as the end
        n_padding = 0
        while rest := self._stream.read(MAX_READ_BYTES):  # a stream's checksum is checked only at its end
            n_padding += len(rest)
            if any(rest) or n_padding > MAX_READ_BYTES:
                raise tarfile.ReadError(f"it goes on after its end mark: {_JOINED}")

    def open(self, entry: Entry) -> IO[bytes]:
        file = self._tar.extractfile(cast("tarfile.TarInfo", entry.handle))
        assert file is not None, "a plain file opens"
        return file


class _Bounded:
    """The stream that tarfile reads. tarfile reads a whole header at once, so the length of a read is limited here."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, n_bytes: int) -> bytes:
        if not 0 <= n_bytes <= MAX_READ_BYTES:
            raise tarfile.ReadError(f"a header of {n_bytes:,} bytes")
        return self._stream.read(n_bytes)


def _zip_problem(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    return "is encrypted" if info.flag_bits & 1 else ""


def _tar_problem(info: tarfile.TarInfo) -> str:
    if info.issym() or info.islnk():
        return f"is a link to {info.linkname[:80]!r}"
    if info.issparse():
        return "is a sparse file"
    return "" if info.isreg() or info.isdir() else "is neither a file nor a folder (a device, perhaps)"


def _decompressed(raw: BinaryIO) -> IO[bytes]:
    raw.seek(0)
    head = raw.read(6)
    raw.seek(0)
    if head[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if head[:3] == b"BZh":
        return cast("IO[bytes]", bz2.BZ2File(raw))
    if head == b"\xfd7zXZ\0":
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    return raw
