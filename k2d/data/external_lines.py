"""Reads files of transcripts that another system wrote: JSON lines in any order, each with an id.

Each line is checked, and all faults are collected. Lines are sorted by id on disk, so files can have any size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.errors import Fault, FaultReport, K2DError, MissingInput, Treatment
from k2d.core.layout import no_file_kind, shown
from k2d.data.kaldi.external_sort import sort_lines
from k2d.data.kaldi.ids import id_fault
from k2d.data.kaldi.joins import split_row

MARK = re.compile(r"<\|[^<>|]{0,40}\|>")
"""Marks that recognisers write beside the words, such as `<|zh|>` or `<|NEUTRAL|>`."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ExternalLine:
    """A line of a file, read as a JSON object."""

    id: str
    number: int
    record: dict[str, Any]


@dataclass
class ExternalFile:
    """A file of another system, with its faults."""

    path: Path
    report: FaultReport

    @classmethod
    def at(cls, path: Path) -> ExternalFile:
        """The file. MissingInput if it does not exist, K2DError if it is not a file."""
        if not path.exists():
            raise MissingInput(f"{shown(path)}: there is no such file; expected the transcripts of another system")
        if kind := no_file_kind(path.stat().st_mode):
            raise K2DError(f"{shown(path)}: is {kind}; expected a file of transcripts")
        return cls(path, FaultReport(cap=5))

    def refuse(self, code: str, message: str, line: int | None = None, remedy: str = "") -> None:
        """Record a fault that makes the file unusable."""
        self.report.add(Fault(Treatment.REJECT, code, message, remedy, shown(self.path), line))

    def demand_sound(self) -> None:
        """Raise K2DError with all faults that were found."""
        if n := self.report.count(Treatment.REJECT):
            what = "1 fault" if n == 1 else f"{n:,} faults"
            head = f"{shown(self.path)}: has {what}, so nothing was read from it:"
            remedy = "docs/recognisers.md has the format; python -m k2d data hypotheses writes it from other formats"
            raise K2DError("\n".join([head, *(f"  {line}" for line in self.report.lines()), f"  {remedy}"]))

    def lines(self, scratch: Path) -> Iterator[ExternalLine]:
        """Yield the lines sorted by id, each id once. Further lines with the same id are recorded as faults."""
        last = ""
        for line in sort_lines(self._keyed(), scratch):
            key, rest = split_row(line)
            number, text = split_row(rest)
            if key == last:
                self.refuse("id_twice", f"{key!r} has a line already; expected one for each id", int(number))
            else:
                yield ExternalLine(key, int(number), json.loads(text))
            last = key

    def _keyed(self) -> Iterator[str]:
        """Yield each good line with its id and its number before it."""
        with self.path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                try:
                    text = raw.removeprefix(_BOM if number == 1 else b"").decode("utf-8").strip()
                    if text:
                        yield f"{_id_of(json.loads(text, parse_constant=_refuse_constant))} {number:012d} {text}"
                except UnicodeDecodeError as error:
                    self.refuse("encoding", f"byte {error.start} of the line is not UTF-8", number, "save it as UTF-8")
                except (ValueError, RecursionError) as error:
                    self.refuse("bad_line", str(error), number)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _id_of(record: object) -> str:
    """The id of a line. ValueError names the fault if it has no good id."""
    if not isinstance(record, dict):
        raise ValueError(f"expected a JSON object, found {json.dumps(record, ensure_ascii=False)[:60]}")
    if not isinstance(record.get("id"), str):
        found = json.dumps(record["id"], ensure_ascii=False)[:60] if "id" in record else "none"
        raise ValueError(f"id: expected a string, found {found}")
    key: str = record["id"]
    if fault := id_fault(key):
        raise ValueError(f"id: {key[:80]!r} {fault}")
    return key


def is_unicode(text: str) -> bool:
    """Whether a text can be written in UTF-8. JSON can contain half of a surrogate pair, which UTF-8 cannot."""
    return not _SURROGATE.search(text)


def first_mark(texts: Iterable[str]) -> str:
    """The first mark in the texts. Empty if there is none."""
    return next((found.group() for text in texts if "<|" in text and (found := MARK.search(text))), "")
