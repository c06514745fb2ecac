"""Write a hypothesis as SRT, WebVTT, JSON or plain text. Pure functions. All text is kept."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from k2d.data.hypotheses import one_line, plain_text, segment_record
from k2d.data.rows import Hypothesis, Segment

MIN_CUE_MS = 100
"""Players do not show cues without duration."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A text on the screen, with its times."""

    start_ms: int
    end_ms: int
    text: str


def cues(hypothesis: Hypothesis) -> Iterator[Cue]:
    """Segments with text as cues that do not overlap: each starts at the end of the last one, or later."""
    last_ms, limit_s = 0, hypothesis.duration_s
    for segment in hypothesis.segments:
        if text := one_line(segment.text):
            start_ms = max(last_ms, _ms(segment.start_s, limit_s))
            last_ms = max(start_ms + MIN_CUE_MS, _ms(segment.end_s, limit_s))
            yield Cue(start_ms, last_ms, text)


def srt(hypothesis: Hypothesis) -> str:
    """SubRip: numbered cues, a comma before the milliseconds, no escaping."""
    return "\n".join(f"{n}\n{_times(cue, ',')}\n{cue.text}\n" for n, cue in enumerate(cues(hypothesis), start=1))


def vtt(hypothesis: Hypothesis) -> str:
    """WebVTT, with `&`, `<` and `>` (so also `-->`) escaped."""
    return "\n".join(["WEBVTT\n", *(f"{_times(cue, '.')}\n{_escaped(cue.text)}\n" for cue in cues(hypothesis))])


def json_text(hypothesis: Hypothesis) -> str:
    """The text and its segments as JSON. A time that is not a number is null."""
    record = {
        "id": hypothesis.recording_id,
        "duration_s": round(hypothesis.duration_s, 3),
        "text": plain_text(hypothesis),
        "segments": [_json_segment(segment) for segment in hypothesis.segments],
    }
    return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def lines(hypothesis: Hypothesis) -> str:
    """Plain text, one line for each segment with text."""
    return "".join(f"{cue.text}\n" for cue in cues(hypothesis))


FORMATS: Mapping[str, Callable[[Hypothesis], str]] = {"txt": lines, "srt": srt, "vtt": vtt, "json": json_text}
"""By file suffix."""


def _json_segment(segment: Segment) -> dict[str, object]:
    record = segment_record(segment)
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in record.items()}


def _ms(seconds: float, limit_s: float) -> int:
    return 0 if math.isnan(seconds) else round(1000 * min(max(seconds, 0.0), limit_s))


def _times(cue: Cue, separator: str) -> str:
    return f"{_clock(cue.start_ms, separator)} --> {_clock(cue.end_ms, separator)}"


def _clock(milliseconds: int, separator: str) -> str:
    """
    >>> _clock(0, ","), _clock(3_725_040, "."), _clock(360_000_000, ".")
    ('00:00:00,000', '01:02:05.040', '100:00:00.000')
    """
    seconds, rest_ms = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{rest_ms:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
