"""Common Voice's tables: tabs, a header, and no quoting (a sentence may hold a single quotation mark)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from k2d.data.raw.lines import raw_lines
from k2d.faults import K2DError
from k2d.paths import shown


def read_tsv(path: Path, wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its line number, by the header's names; K2DError for a column or a field too few."""
    lines = raw_lines(path)
    header = next(lines, None)
    names = header.text.split("\t") if header else []
    if missing := [name for name in wanted if name not in names]:
        raise K2DError(f"{shown(path)}: found the columns {', '.join(names)}, expected also {', '.join(missing)}")
    for number, text in lines:
        fields = text.split("\t")
        if len(fields) != len(names):
            raise K2DError(
                f"{shown(path)}:{number}: found {len(fields)} fields, expected {len(names)} as in the header"
            )
        yield number, dict(zip(names, fields, strict=True))
