"""Reads texts of chunks that another system wrote: JSON lines with `id` and `text`, or a Kaldi `text`."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from k2d.core.errors import Treatment
from k2d.data.external_lines import ExternalFile, ExternalLine, first_mark, is_unicode
from k2d.data.hypotheses import one_line
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.tables import open_table
from k2d.text.timestamps import strip_timestamps

JSON_LINES = ".jsonl"
"""Suffix of the files that are read as JSON lines; others are read as Kaldi's."""

# The other fields are those of stage 7, whose files can be given as well. They are not read.
_KNOWN = {"id", "text", "duration_s", "n_tokens", "ended", "mean_logprob", "language"}


def external_texts(path: Path, ids: Iterable[str], scratch: Path) -> Iterator[tuple[str, str | None]]:
    """Yield each id with its text, or None if the file has none. At the end, K2DError lists all faults of the file."""
    file = ExternalFile.at(path)
    lines = _of_json(file, scratch) if path.suffix == JSON_LINES else _of_kaldi(file, scratch)
    line = next(lines, None)
    for key in ids:
        while line is not None and line[0] < key:
            _refuse_unknown(file, *line[:2])
            line = next(lines, None)
        is_there = line is not None and line[0] == key
        yield key, _checked(file, *line) if is_there and line is not None else None
        line = next(lines, None) if is_there else line
    while line is not None:
        _refuse_unknown(file, *line[:2])
        line = next(lines, None)
    file.demand_sound()


_Line = tuple[str, int | None, str]  # id, number, text


def _of_json(file: ExternalFile, scratch: Path) -> Iterator[_Line]:
    for line in file.lines(scratch):
        if fault := _record_fault(line):
            file.refuse("bad_line", fault, line.number)
            yield line.id, line.number, ""
        else:
            yield line.id, line.number, line.record["text"]


def _record_fault(line: ExternalLine) -> str:
    if unknown := sorted(line.record.keys() - _KNOWN):
        return f"{unknown[0]}: unknown field, expected id and text"
    if not isinstance(line.record.get("text"), str):
        return f"text: expected a string, found {json.dumps(line.record.get('text'), ensure_ascii=False)[:60]}"
    return ""


def _of_kaldi(file: ExternalFile, scratch: Path) -> Iterator[_Line]:
    with tempfile.TemporaryDirectory(dir=scratch) as made:
        table = open_table(file.path, KINDS["text"], Path(made), file.report)
        if table is not None and not file.report.count(Treatment.REJECT):
            yield from ((key, None, text) for key, text in table.rows())


def _checked(file: ExternalFile, key: str, number: int | None, text: str) -> str:
    if mark := first_mark([text]):
        file.refuse("mark", f"the text of {key!r} contains {mark!r}; expected words only", number, "remove such marks")
    if not is_unicode(text):
        file.refuse("encoding", f"the text of {key!r} is not Unicode: it contains half of a surrogate pair", number)
    if strip_timestamps(text) != text:
        message = f"the text of {key!r} contains a timestamp; expected words only"
        file.refuse("stray_timestamp", message, number, "remove timestamps")
    return one_line(text) if is_unicode(text) else ""


def _refuse_unknown(file: ExternalFile, key: str, number: int | None) -> None:
    message = f"{key!r} is not one of the chunks; expected ids of the chunks that stage 6 wrote"
    file.refuse("unknown_chunk", message, number, "transcribe the present chunks of stage 6")
