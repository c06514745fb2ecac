"""Read text files of a corpus as numbered lines, whatever editor or program wrote them.

The encoding is UTF-8 with or without a byte order mark; lines end in LF or CR LF. K2D does not correct a corpus's
files: a line that cannot be read is an error, with its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from k2d.core.errors import Fault, FaultReport, K2DError, Treatment
from k2d.core.layout import shown

_MARK = "\ufeff"


class Line(NamedTuple):
    """A line that is not blank, without its line end."""

    number: int
    text: str


class Entry(NamedTuple):
    """A line of a Kaldi-like table: an id and its value."""

    number: int
    key: str
    value: str


def raw_lines(path: Path) -> Iterator[Line]:
    """Every line that is not blank. K2DError if the file is missing or not UTF-8."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise K2DError(f"{shown(path)}: cannot be read: {error.strerror}; is the raw corpus whole?") from error
    with file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                message = f"{shown(path)}:{number}: byte {error.start} of the line is not UTF-8; save the file as UTF-8"
                raise K2DError(message) from error
            if number == 1:
                text = text.removeprefix(_MARK)
            if text.strip():
                yield Line(number, text)


def entries(path: Path) -> Iterator[Entry]:
    """The lines of a table, each split at its first white space. All ids that occur twice are reported in one error.

    Memory: the ids.
    """
    first: dict[str, int] = {}
    report = FaultReport()
    for number, text in raw_lines(path):
        key, value = [*text.split(maxsplit=1), ""][:2]
        if (before := first.setdefault(key, number)) != number:
            message = f"found the id {key!r} again (first in line {before}), expected each id once"
            remedy = "keep one of the lines"
            report.add(Fault(Treatment.REJECT, "duplicate_id", message, remedy, shown(path), number, key))
        else:
            yield Entry(number, key, value.strip())
    if report.count():
        raise K2DError("\n".join(report.lines()))
