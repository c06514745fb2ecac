"""The part files of decoding: workers append a line for each item that they finish, and a rerun counts them.

A line is the id of an item and a JSON record (`k2d/inference/answer_cache.py`). No two processes write one file.
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
    """A part file's path that nobody else has: two machines, runs or processes never write one file."""
    host = re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:32] or "host"
    return cache / f"part-{number:06d}-{host}-{os.getpid()}-{secrets.token_hex(4)}{PART}"


def number_of(path: Path) -> int:
    """The number in a part file's name, also in names of earlier versions; -1 where there is none.

    >>> [number_of(Path(name)) for name in ("part-000003-n1-7-ab12.lines", "part-000002-failed.lines", "other.lines")]
    [3, 2, -1]
    """
    with suppress(ValueError, IndexError):
        return int(path.stem.split("-")[1])
    return -1


def first_free_part(cache: Path) -> int:
    """A number above all that are there: of two answers to an item, the later try's is the one with the higher."""
    return max(map(number_of, cache.glob(f"part-*{PART}")), default=-1) + 1


def set_of_finished(cache: Path) -> frozenset[str]:
    """Ids that some part file has a hypothesis for; what failed is not finished."""
    return frozenset(line.partition(" ")[0] for _, line in part_lines(cache) if not _FAILED.match(line))


def ids_of_part(cache: Path, number: int) -> frozenset[str]:
    """Ids that the part files of a number have a line for, with a hypothesis or a failure."""
    return frozenset(line.partition(" ")[0] for _, line in part_lines(cache, f"{number:06d}-"))


def part_lines(cache: Path, numbers: str = "") -> Iterator[tuple[int, str]]:
    """Lines with their part's number. Whole lines only: a worker that was killed may have left half of one."""
    for part in sorted(cache.glob(f"part-{numbers}*{PART}")):
        number = number_of(part)
        with part.open(encoding="utf-8", newline="\n", errors="replace") as file:
            yield from ((number, line[:-1]) for line in file if line.endswith("\n"))
