"""The transcripts of LDC2015S04. A line is a stretch of a recording, with times in milliseconds.

    phaseII    recording, start, end, language (CS, ZH, EN), text
    phaseI     recording, start, end, text

A line without a text column marks a stretch that was not transcribed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from k2d.core.errors import Fault, FaultReport, K2DError, Treatment
from k2d.core.layout import shown
from k2d.data.raw.lines import Line, raw_lines
from k2d.data.raw.tally import Tally

Phase = Literal["phaseI", "phaseII"]

_LANGUAGES = {"CS": "mixed", "ZH": "zh", "EN": "en"}
_COLUMNS = {
    "phaseI": ["recording", "start", "end", "text"],
    "phaseII": ["recording", "start", "end", "language", "text"],
}
_REMEDY = "compare the line with the release"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line of a transcript, unchanged."""

    recording: str
    """In lower case, like the published lists."""
    start_ms: int
    end_ms: int
    text: str
    language: str | None
    where: str


def read_transcripts(paths: list[Path], phase: Phase, tally: Tally) -> Iterator[Spoken]:
    """Every transcribed line of the files. Faulty lines and repeated lines are reported together, at the end."""
    report = FaultReport()
    seen: dict[tuple[str, int, int], str] = {}
    for path in paths:
        for line in raw_lines(path):
            found = _spoken(path, line, phase)
            if isinstance(found, Fault):
                report.add(found)
            elif found is None:
                tally.drop("not_transcribed", f"{shown(path)}:{line.number}")
            elif before := seen.get((found.recording, found.start_ms, found.end_ms)):
                message = f"found the same stretch of {found.recording} again (first in {before}), expected it once"
                report.add(_fault("duplicate_stretch", message, path, line.number))
            else:
                seen[found.recording, found.start_ms, found.end_ms] = found.where
                yield found
    if report.count():
        raise K2DError("\n".join(report.lines()))


def _spoken(path: Path, line: Line, phase: Phase) -> Spoken | Fault | None:
    """The line, its fault, or None if the stretch was not transcribed."""
    columns = [column.strip() for column in line.text.split("\t")]
    expected = _COLUMNS[phase]
    if len(columns) < len(expected) and columns[3:] in ([], ["CS"], ["ZH"], ["EN"]) and len(columns) > 2:
        return None
    if len(columns) != len(expected):
        return _fault("columns", f"found {len(columns)} columns, expected {', '.join(expected)}", path, line.number)
    row = dict(zip(expected, columns, strict=True))
    if not (row["start"].isdecimal() and row["end"].isdecimal()):
        message = f"found the times {row['start']!r} and {row['end']!r}, expected whole milliseconds"
        return _fault("bad_time", message, path, line.number)
    language = row.get("language")
    if language is not None and language not in _LANGUAGES:
        message = f"found the language {language!r}, expected one of {', '.join(_LANGUAGES)}"
        return _fault("language", message, path, line.number)
    tag = _LANGUAGES[language] if language else None
    where = f"{shown(path)}:{line.number}"
    return Spoken(row["recording"].lower(), int(row["start"]), int(row["end"]), row["text"], tag, where)


def _fault(code: str, message: str, path: Path, number: int) -> Fault:
    return Fault(Treatment.REJECT, code, message, _REMEDY, shown(path), number)
