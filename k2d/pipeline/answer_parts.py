"""The part files of decoding. Workers append a line for each finished item, and a rerun counts the lines.

A line is the id of an item and a JSON record (`k2d/inference/answer_cache.py`). A file has only one writer.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PART = ".lines"
_FAILED = re.compile(r'\S+ \{"s": [^,]*, "heard": null,')


def new_part(cache: Path, number: int) -> Path:
    """A unique path for a part file, so that two machines, runs or processes never write the same file."""
    host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:32] or "host"
    return cache / f"part-{number:06d}-{host}-{os.getpid()}-{secrets.token_hex(4)}{PART}"


def number_of(path: Path) -> int:
    """The number in a part file's name, including names of earlier versions. -1 if there is none.

    >>> [number_of(Path(name)) for name in ("part-000003-n1-7-ab12.lines", "part-000002-failed.lines", "other.lines")]
    [3, 2, -1]
    """
    with suppress(ValueError, IndexError):
        return int(path.stem.split("-")[1])
    return -1


def first_free_part(cache: Path) -> int:
    """A number above all existing ones. If an item has two answers, the one with the higher number is newer."""
    return max(map(number_of, cache.glob(f"part-*{PART}")), default=-1) + 1


def set_of_finished(cache: Path) -> frozenset[str]:
    """The ids that have a hypothesis in a part file. Failed items are not finished."""
    return frozenset(line.partition(" ")[0] for _, line in part_lines(cache) if not _FAILED.match(line))


def ids_of_part(cache: Path, number: int) -> frozenset[str]:
    """The ids in the part files with this number, with a hypothesis or a failure."""
    return frozenset(line.partition(" ")[0] for _, line in part_lines(cache, f"{number:06d}-"))


def part_lines(cache: Path, numbers: str = "") -> Iterator[tuple[int, str]]:
    """Complete lines with the number of their part. A worker that was killed may have written half a line."""
    for part in sorted(cache.glob(f"part-{numbers}*{PART}")):
        number = number_of(part)
        with part.open(encoding="utf-8", newline="\n", errors="replace") as file:
            yield from ((number, line[:-1]) for line in file if line.endswith("\n"))
