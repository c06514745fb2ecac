"""Sort any number of lines in bounded memory, in C order (by code point, which is the order of UTF-8 bytes)."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

CHUNK_CHARACTERS = 6_000_000  # sorted in memory: about 20 MB with Python's own cost per line
MAX_OPEN = 64  # files merged at once


def sort_lines(
    lines: Iterable[str], scratch: Path, *, chunk_characters: int = CHUNK_CHARACTERS, max_open: int = MAX_OPEN
) -> Iterator[str]:
    """Yield the lines (without line ends) sorted. Lines that do not fit in memory are sorted through files in
    `scratch`.

    >>> list(sort_lines(["b 1", "a-1 2", "a 3"], Path("/nonexistent")))
    ['a 3', 'a-1 2', 'b 1']
    """
    chunks = _sorted_chunks(lines, chunk_characters)
    first = next(chunks, [])
    second = next(chunks, None)
    if second is None:
        yield from first
        return
    runs: list[Path] = []
    last = ""
    for chunk in chain([first, second], chunks):
        if not runs or chunk[0] < last:
            runs.append(_new_file(scratch))
        _append(runs[-1], chunk)  # lines that are sorted already become one long run
        last = chunk[-1]
        chunk.clear()
    yield from _merge(runs, scratch, max_open)


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 file without their line ends. Only LF ends a line."""
    with path.open(encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n")


def _sorted_chunks(lines: Iterable[str], max_characters: int) -> Iterator[list[str]]:
    chunk: list[str] = []
    n_characters = 0
    for line in lines:
        chunk.append(line)
        n_characters += len(line)
        if n_characters >= max_characters:
            chunk.sort()
            yield chunk
            chunk, n_characters = [], 0
    if chunk:
        chunk.sort()
        yield chunk


def _merge(runs: list[Path], scratch: Path, max_open: int) -> Iterator[str]:
    while len(runs) > max_open:
        merged = _new_file(scratch)
        _append(merged, _merge(runs[:max_open], scratch, max_open))
        runs = [*runs[max_open:], merged]
    streams = [read_lines(run) for run in runs]
    yield from streams[0] if len(streams) == 1 else heapq.merge(*streams)
    for run in runs:
        run.unlink()


def _new_file(scratch: Path) -> Path:
    with tempfile.NamedTemporaryFile(dir=scratch, prefix="sort-", delete=False) as file:
        return Path(file.name)


def _append(path: Path, lines: Iterable[str]) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.writelines(line + "\n" for line in lines)
