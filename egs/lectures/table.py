"""The metadata table, with what is known about the recordings. `path` is required, the other columns are optional."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from k2d.core.errors import Fault, FaultReport, K2DError, Treatment
from k2d.data.raw.table import table_rows

COLUMNS = ("path", "course", "speaker", "date", "language", "split")
SPLITS = ("train", "dev", "test")
NAMES = ("metadata.tsv", "metadata.csv")
MAX_VALUE = 200

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|")
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?|")


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. Empty means unknown."""

    course: str = ""
    speaker: str = ""
    date: str = ""
    language: str = ""
    split: str = ""


def find_table(root: Path, given: str) -> Path | None:
    """The table in the options, or a file with one of the usual names."""
    if given:
        inside = inner_path(root, given)
        if inside is None or not (root / inside).is_file():
            raise K2DError(f"prepare.options.lectures: table: found {given!r}, expected a file below {root}")
        return root / inside
    return next((root / name for name in NAMES if (root / name).is_file()), None)


def read_table(path: Path, root: Path, recordings: Iterable[str]) -> dict[str, Row]:
    """The rows by path below the root. All faults are reported together. `recordings` are the existing paths."""
    report, rows = FaultReport(), dict[str, Row]()
    known = {unicodedata.normalize("NFC", name): name for name in recordings}  # macOS stores names in another form
    for number, record in table_rows(path, COLUMNS[:1], may_end_early=True):
        values = {column: record.get(column, "").strip() for column in COLUMNS}
        inside = inner_path(root, values["path"])
        name = known.get(unicodedata.normalize("NFC", inside or ""))
        if problem := _problem(values, inside, name) or ("is named twice" if name in rows else ""):
            report.add(Fault(Treatment.REJECT, "table", f"{values['path']!r} {problem}", "", str(path), number))
        elif name is not None:
            rows[name] = Row(*(values[column] for column in COLUMNS[1:]))
    if report.count():
        raise K2DError("\n".join([*report.lines(), "mend the table; paths are relative to its recordings' root"]))
    return rows


def inner_path(root: Path, text: str) -> str | None:
    """A path of the table relative to the root. None if it leads out of the root. The disk is not read.

    >>> inner_path(Path("/r"), "a/./b.wav"), inner_path(Path("/r"), "/r/c.wav"), inner_path(Path("/r"), "../x")
    ('a/b.wav', 'c.wav', None)
    """
    path = PurePath(text)
    if ".." in path.parts or not text or "\0" in text:
        return None
    if path.is_absolute():
        return str(path.relative_to(root)) if path.is_relative_to(root) else None
    return str(path)


def _problem(values: Mapping[str, str], inside: str | None, name: str | None) -> str:
    if inside is None:
        return "leads out of the recordings' folder"
    if name is None:
        return "is no recording that is there"
    for column, value in values.items():
        if column != "path" and (len(value) > MAX_VALUE or not value.isprintable()):
            return f"has a {column} that is too long, or holds a control character"
    if values["split"] not in ("", *SPLITS):
        return f"has the split {values['split']!r}, expected one of {', '.join(SPLITS)}"
    if not _LANGUAGE.fullmatch(values["language"]):
        return f"has the language {values['language']!r}, expected a code such as zh or zh-TW"
    if not _DATE.fullmatch(values["date"]):
        return f"has the date {values['date']!r}, expected one such as 2021-03-05"
    return ""
