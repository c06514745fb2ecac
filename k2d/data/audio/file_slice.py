"""A stretch of an open file that libsndfile reads as a file of its own."""

from __future__ import annotations

import io
import os


class FileSlice(io.RawIOBase):
    """The bytes from `start` to `end` of a file. `pread` does not change the descriptor's position."""

    def __init__(self, descriptor: int, start: int, end: int) -> None:
        self._descriptor, self._start, self._n_bytes = descriptor, start, end - start
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._n_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        n_wanted = min(len(buffer), max(0, self._n_bytes - self._at))
        data = os.pread(self._descriptor, n_wanted, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
