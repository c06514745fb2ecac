"""Read tables with a header that come with a corpus: rows by column name, because the order changes between releases.

`.csv` is parsed as spreadsheets write it. In all other files, fields are separated by tabs and a quotation mark is an
ordinary character, because a transcript may contain a single one. In both formats a row is one line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from k2d.core.errors import Fault, FaultReport, K2DError, Treatment
from k2d.core.layout import shown
from k2d.data.raw.lines import Line, raw_lines

Row = dict[str, str]
_QUOTES = "write a row on one line, quotes doubled"


def table_rows(path: Path, wanted: Sequence[str], *, may_end_early: bool = False) -> Iterator[tuple[int, Row]]:
    """Each row with its line number; the header's names are in lower case. All faults are reported in one error.

    With `may_end_early`, the last fields of a row may be missing and are then empty, as in tables edited by hand.
    """
    lines = raw_lines(path)
    names = _names(path, next(lines, None), wanted)
    report = FaultReport()
    for number, text in lines:
        try:
            fields = _fields(path, text)
        except csv.Error as error:
            report.add(_fault("quotes", str(error), _QUOTES, path, number))
            continue
        n_lacking = len(names) - len(fields)
        if n_lacking < 0 or (n_lacking and not may_end_early):
            message = f"found {len(fields)} fields, expected {len(names)} as in the header"
            report.add(_fault("fields", message, "is the file whole?", path, number))
        else:
            yield number, dict(zip(names, [*fields, *[""] * n_lacking], strict=True))
    if report.count():
        raise K2DError("\n".join(report.lines()))


def _fields(path: Path, text: str) -> list[str]:
    return next(csv.reader([text], strict=True)) if path.suffix.lower() == ".csv" else text.split("\t")


def _names(path: Path, header: Line | None, wanted: Sequence[str]) -> list[str]:
    """The columns. K2DError if one is missing or occurs twice."""
    if header is None:
        raise K2DError(f"{shown(path)}: found nothing, expected the columns {', '.join(wanted)}")
    try:
        names = [name.strip().lower() for name in _fields(path, header.text)]
    except csv.Error as error:
        raise K2DError(f"{shown(path)}:{header.number}: {error}; {_QUOTES}") from error
    found = f"{shown(path)}:{header.number}: found the columns {', '.join(names)}"
    if missing := [name for name in wanted if name not in names]:
        raise K2DError(f"{found}, expected also {', '.join(missing)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise K2DError(f"{found}, expected {', '.join(twice)} once")
    return names


def _fault(code: str, message: str, remedy: str, path: Path, number: int) -> Fault:
    return Fault(Treatment.REJECT, code, message, remedy, shown(path), number)
