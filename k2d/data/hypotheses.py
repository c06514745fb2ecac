"""Hypotheses on disk: hyp.jsonl, one line per recording.

Names and types of fields are checked strictly. Times of segments are read without checks: k2d/data/label_segments.py
decides whether a segment can be used.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError, MissingInput
from k2d.core.layout import shown
from k2d.data.kaldi.ids import id_fault
from k2d.data.rows import DecodedWindow, Hypothesis, Segment

FILE = "hyp.jsonl"
TEXT = "text"  # the same without times, as Kaldi writes transcripts

Record = dict[str, Any]  # a JSON object

_TIME_DECIMALS = 3
_FIRST_ID = re.compile(rb'\{"id": "([^"\\]+)", ')  # the format of hypothesis_line
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


# --- writing ---


def hypothesis_line(hypothesis: Hypothesis) -> str:
    """A line of hyp.jsonl, without its line end."""
    return json.dumps(hypothesis_record(hypothesis), ensure_ascii=False, allow_nan=False)


def hypothesis_record(hypothesis: Hypothesis) -> Record:
    """A hypothesis as a JSON object, with times in milliseconds' precision."""
    return {
        "id": hypothesis.recording_id,
        "duration_s": _rounded(hypothesis.duration_s),
        "segments": [segment_record(segment) for segment in hypothesis.segments],
        "windows": [_window_record(window) for window in hypothesis.windows],
    }


def _window_record(window: DecodedWindow) -> Record:
    record = {**asdict(window), "start_s": _rounded(window.start_s), "advance_s": _rounded(window.advance_s)}
    if window.no_speech is None:
        del record["no_speech"]
    return record


def segment_record(segment: Segment) -> Record:
    """A segment as a JSON object. An unknown language is left out.

    >>> segment_record(Segment(0, 2.4, "你好", -0.31))
    {'start_s': 0.0, 'end_s': 2.4, 'text': '你好', 'mean_logprob': -0.31, 'loop': False}
    """
    record = {**asdict(segment), "start_s": _rounded(segment.start_s), "end_s": _rounded(segment.end_s)}
    if segment.language is None:
        del record["language"]
    return record


def _rounded(seconds: float) -> float:
    return round(float(seconds), _TIME_DECIMALS)


def plain_text(hypothesis: Hypothesis) -> str:
    """The whole text, on one line.

    >>> plain_text(Hypothesis("r1", 9, (Segment(0, 1, " so\\n"), Segment(1, 2, ""), Segment(3, 4, "我們 用")), ()))
    'so 我們 用'
    """
    return " ".join(filter(None, (one_line(segment.text) for segment in hypothesis.segments)))


def one_line(text: str) -> str:
    """The text with each line end and control character replaced by a space. A model that writes bytes may write
    any.
    """
    return " ".join(_CONTROL.sub(" ", text).split())


# --- reading ---


def read_hypotheses(path: Path, only: Collection[str] | None = None) -> Iterator[Hypothesis]:
    """The hypotheses of a file, in C order of their ids. K2DError names the faulty line and field.

    With `only`, the hypotheses of these recordings. Of all other lines, only the id is parsed.
    """
    if not path.is_file():
        raise MissingInput(f"{shown(path)}: there is no such file; decode the recordings first")
    last_id = ""
    with path.open("rb") as file:  # as bytes, so that a line that is not UTF-8 is reported with its number
        for number, line in enumerate(file, start=1):
            try:
                told = _FIRST_ID.match(line) if only is not None else None
                key = told[1].decode("utf-8") if told else ""
                is_wanted = only is None or not key or key in only
                if is_wanted:
                    hypothesis = parse_hypothesis(line.decode("utf-8"))
                    key = hypothesis.recording_id
                if key <= last_id:
                    raise ValueError(f"id: found {key!r} after {last_id!r}, expected C order")
            except (ValueError, RecursionError) as error:
                remedy = "make the file again (the stage that wrote it, with --force)"
                raise K2DError(f"{shown(path)}:{number}: {error}; {remedy}") from error
            last_id = key
            if is_wanted and (only is None or key in only):
                yield hypothesis


def parse_hypothesis(line: str) -> Hypothesis:
    """The hypothesis of a line of hyp.jsonl."""
    return hypothesis_from(json.loads(line))


def hypothesis_from(record: object) -> Hypothesis:
    """The hypothesis in a JSON object. ValueError names the field, what was expected and what was found."""
    raw = _object(record, {"id", "duration_s", "segments", "windows"}, set(), "")
    if fault := id_fault(_text(raw["id"], "id")):
        raise ValueError(f"id: {raw['id'][:80]!r} {fault}")
    segments = _objects(raw["segments"], Segment, "segments")
    windows = _objects(raw["windows"], DecodedWindow, "windows")
    return Hypothesis(
        raw["id"],
        _finite(raw["duration_s"], "duration_s"),
        tuple(Segment(**record) for record in segments),
        tuple(DecodedWindow(**record) for record in windows),
    )


def _objects(raw: object, row: type[Segment] | type[DecodedWindow], name: str) -> Iterator[Record]:
    """The objects of a list. Each must have exactly the fields of its row, with values of their types."""
    if not isinstance(raw, list):
        raise _odd(name, raw, "a list")
    readers = _READERS[row]
    optional = {field.name for field in fields(row) if field.default is not MISSING}
    required = readers.keys() - optional
    for number, each in enumerate(raw):
        at = f"{name}[{number}]"
        record = _object(each, required, optional, f"{at}.")
        yield {key: readers[key](value, f"{at}.{key}") for key, value in record.items()}


def _object(raw: object, required: set[str], optional: set[str], at: str) -> Record:
    if not isinstance(raw, dict):
        raise _odd(at.rstrip(".") or "the line", raw, "an object")
    if missing := sorted(required - raw.keys()):
        raise ValueError(f"{at}{missing[0]}: the field is missing")
    if unknown := sorted(raw.keys() - required - optional):
        raise ValueError(f"{at}{unknown[0]}: unknown field, expected one of {', '.join(sorted(required | optional))}")
    return raw


def _number(value: object, at: str) -> float:
    """A number, which may be NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _odd(at, value, "a number")
    return math.inf if isinstance(value, int) and abs(value) > 1e15 else float(value)


def _finite(value: object, at: str) -> float:
    if not math.isfinite(number := _number(value, at)):
        raise _odd(at, value, "a finite number")
    return number


def _finite_or_none(value: object, at: str) -> float | None:
    return None if value is None else _finite(value, at)


def _count(value: object, at: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _odd(at, value, "a whole number")
    return value


def _flag(value: object, at: str) -> bool:
    if not isinstance(value, bool):
        raise _odd(at, value, "true or false")
    return value


def _text(value: object, at: str) -> str:
    if not isinstance(value, str):
        raise _odd(at, value, "a string")
    return value


def _text_or_none(value: object, at: str) -> str | None:
    return None if value is None else _text(value, at)


def _odd(at: str, value: object, expected: str) -> ValueError:
    return ValueError(f"{at}: expected {expected}, found {json.dumps(value, ensure_ascii=False)[:80]}")


_Reader = Callable[[object, str], Any]
_READERS: Mapping[type, Mapping[str, _Reader]] = {
    Segment: {
        "start_s": _number,
        "end_s": _number,
        "text": _text,
        "mean_logprob": _finite_or_none,
        "loop": _flag,
        "language": _text_or_none,
    },
    DecodedWindow: {
        "start_s": _finite,
        "advance_s": _finite,
        "n_tokens": _count,
        "ended": _text,
        "moved_by": _text,
        "mean_logprob": _finite_or_none,
        "no_speech": _finite_or_none,
    },
}
