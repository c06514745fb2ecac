"""The model's pronunciations of unknown words, cached on disk: one line per word, appended when it is computed.

Any number of processes append to one file. A line ends with a mark, so that an incomplete line is recognised and
ignored.
"""

from __future__ import annotations

import os
from pathlib import Path

from k2d.core.errors import K2DError

_WHOLE = "."  # the last field of a complete line


class Guesses:
    """The words of one version of the model."""

    def __init__(self, folder: Path, version: str) -> None:
        self.path = folder / f"guesses-{version}.tsv"
        self._words: dict[str, tuple[str, ...]] | None = None

    def get(self, word: str) -> tuple[str, ...] | None:
        if self._words is None:
            self._words = _read(self.path)
        return self._words.get(word)

    def add(self, word: str, phonemes: tuple[str, ...]) -> None:
        """One write to the end of the file, so that lines of several processes never mix."""
        line = f"{word}\t{' '.join(phonemes)}\t{_WHOLE}\n".encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(descriptor, line if _ends_whole(descriptor) else b"\n" + line)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise K2DError(
                f"{self.path}: cannot keep pronunciations ({error.strerror}); name a cache folder that can be written"
            ) from error
        if self._words is not None:
            self._words[word] = phonemes


def _ends_whole(descriptor: int) -> bool:
    size_bytes = os.fstat(descriptor).st_size
    return size_bytes == 0 or os.pread(descriptor, 1, size_bytes - 1) == b"\n"


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    if not path.exists():
        return {}
    lines = (line.split("\t") for line in path.read_text(encoding="utf-8", errors="replace").split("\n"))
    return {fields[0]: tuple(fields[1].split()) for fields in lines if len(fields) == 3 and fields[2] == _WHOLE}
