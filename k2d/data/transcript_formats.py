"""The formats in which other systems write transcripts, read as timed texts of recordings.

Captions (a `.srt` or `.vtt` per recording), JSON (a `.json` per recording, or JSON lines), and Kaldi's tables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.errors import FaultReport, K2DError, MissingInput, Treatment
from k2d.core.layout import shown
from k2d.data.kaldi.joins import look_up
from k2d.data.kaldi.kinds import KINDS
from k2d.data.kaldi.tables import Table, open_table
from k2d.data.raw.captions import SUFFIXES, read_captions


@dataclass(frozen=True, slots=True)
class TimedText:
    """A text with its place. Without times it is of the whole recording; a time that is no number is NaN."""

    recording_id: str
    text: str
    start_s: float | None = None
    end_s: float | None = None
    language: str | None = None
    dropped: str = ""
    """The reader's reason to leave it out."""


Texts = Iterator[TimedText]


def read_transcripts(source: Path, scratch: Path) -> Texts:
    """All texts of a source, whose format is known by its files; K2DError if it is none of them.

    A recording in which nobody speaks gives a text that is empty.
    """
    if not source.exists():
        raise MissingInput(f"{shown(source)}: there is no such file or folder; expected transcripts")
    if source.is_file():
        if source.suffix != ".jsonl":
            raise K2DError(f"{shown(source)}: expected JSON lines ({_EXPECTED}); such a file's name ends in .jsonl")
        return _json_lines(source)
    if (source / "text").is_file():
        return _kaldi(source, scratch)
    files = sorted(path for path in source.iterdir() if path.suffix in _OF_A_RECORDING)
    kinds = sorted({path.suffix for path in files})
    if len(kinds) != 1:
        found = f"files of several kinds ({', '.join(kinds)})" if kinds else "none"
        raise K2DError(f"{shown(source)}: found {found}, expected {_EXPECTED}")
    return (row for path in files for row in _OF_A_RECORDING[path.suffix](path))


_EXPECTED = "a Kaldi text (with segments), or a .srt, .vtt or .json for each recording, or a file of JSON lines"


# --- captions ---


def _captions(path: Path) -> Texts:
    found = read_captions(path)
    yield TimedText(path.stem, "")
    for cue in found.cues:
        yield TimedText(path.stem, cue.text, cue.start_s, cue.end_s)
    for reason, n in [*found.dropped.items(), ("shown_together", found.n_merged)]:
        yield from (TimedText(path.stem, "", dropped=reason) for _ in range(n))


# --- JSON ---


def _json_file(path: Path) -> Texts:
    """An object with `segments`, as whisper, WhisperX and `transcribe --format json` write it."""
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise K2DError(f"{shown(path)}: cannot be read as JSON: {error}") from error
    yield from _of_object(record, path.stem, shown(path))


def _json_lines(path: Path) -> Texts:
    """A line for each recording, with `segments`, or for each text, with its times beside it."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise K2DError(f"{shown(path)}:{number}: cannot be read as JSON: {error}") from error
                yield from _of_object(record, None, f"{shown(path)}:{number}")


def _of_object(record: object, name: str | None, where: str) -> Texts:
    if not isinstance(record, dict):
        raise K2DError(f"{where}: expected a JSON object, found {json.dumps(record, ensure_ascii=False)[:60]}")
    key = name or record.get("id", record.get("key"))
    if not isinstance(key, str):
        raise K2DError(f"{where}: id: expected the recording's, as a string; found none")
    segments = record.get("segments")
    if segments is None:
        yield _json_text(record, key, where)
    elif isinstance(segments, list) and all(isinstance(each, dict) for each in segments):
        yield from (_json_text(each, key, where) for each in segments)
        if not segments:
            yield TimedText(key, "")
    else:
        raise K2DError(f"{where}: segments: expected a list of objects with start, end and text")


def _json_text(record: Mapping[str, Any], key: str, where: str) -> TimedText:
    text, language = record.get("text"), record.get("language")
    if not isinstance(text, str):
        raise K2DError(f"{where}: text: expected a string, found {json.dumps(text, ensure_ascii=False)[:60]}")
    start_s, end_s = (_time(record, name, where) for name in ("start", "end"))
    return TimedText(key, text, start_s, end_s, language if isinstance(language, str) and language.isascii() else None)


def _time(record: Mapping[str, Any], name: str, where: str) -> float | None:
    """`start` or `start_s`, in seconds."""
    value = record.get(f"{name}_s", record.get(name))
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise K2DError(f"{where}: {name}: expected seconds as a number, found {json.dumps(value)[:60]}")
    return float(value) if abs(value) < 1e9 else math.nan


# --- Kaldi ---


def _kaldi(folder: Path, scratch: Path) -> Texts:
    """`text` by utterance with `segments`, or by recording without."""
    text = _table(folder / "text", scratch)
    if not (folder / "segments").exists():
        yield from (TimedText(key, words) for key, words in text.rows())
        return
    for key, words, place in look_up(text.rows(), _table(folder / "segments", scratch).rows()):
        if place is None:
            yield TimedText(key, words, dropped="no_segment")
        else:
            recording_id, start, end = place.split(" ")
            yield TimedText(recording_id, words, float(start), float(end))


def _table(path: Path, scratch: Path) -> Table:
    report = FaultReport()
    table = open_table(path, KINDS[path.name], scratch, report)
    if table is None or report.count(Treatment.REJECT):
        raise K2DError("\n".join(report.lines(Treatment.REJECT)))
    return table


_OF_A_RECORDING: Mapping[str, Callable[[Path], Texts]] = {**dict.fromkeys(SUFFIXES, _captions), ".json": _json_file}
