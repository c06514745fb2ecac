"""Decide which segments of a hypothesis can become training labels, and why others cannot. Pure functions.

From here on, times are whole hundredths of a second, so that comparisons are exact and the times of a label stay on the
teacher's grid.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from k2d.core.errors import Treatment
from k2d.data.audio.probe import MIN_DURATION_S
from k2d.data.audio.read import END_TOLERANCE_S
from k2d.data.kaldi.canonical_line import canonical_line
from k2d.data.kaldi.kinds import KINDS
from k2d.data.rows import Hypothesis, Rejected, Segment
from k2d.text.timestamps import strip_timestamps

OVERLAP_TOLERANCE_S = 0.05
"""A smaller overlap with the segment before is due to rounding. The segment's start is then moved."""

EMPTY = "empty"
"""The only reason that is not a fault: a segment without text."""

_SURROGATE = re.compile("[\ud800-\udfff]")  # possible in JSON, impossible in UTF-8
_SHOWN = 40  # characters of a text in a message


@dataclass(frozen=True, slots=True)
class LabelSegment:
    """A segment that can be part of a label: after all segments before it, inside the recording, with text on one
    line.
    """

    start_cs: int
    end_cs: int
    text: str
    segment: Segment
    """The segment before its times were changed."""

    @property
    def duration_cs(self) -> int:
        return self.end_cs - self.start_cs

    @property
    def was_moved(self) -> bool:
        """Whether its start or end was moved, by more than rounding."""
        return self.start_cs - 100 * self.segment.start_s > 1 or 100 * self.segment.end_s - self.end_cs > 1


@dataclass(frozen=True, slots=True)
class _Fault:
    reason: str
    detail: str


def hundredths(seconds: float) -> int:
    return round(seconds * 100)


def end_of(hypothesis: Hypothesis) -> int:
    """The last hundredth of a second within the recording."""
    return math.floor(hypothesis.duration_s * 100 + 1e-6)  # 0.29 * 100 is 28.999…


def segment_id(recording_id: str, number: int) -> str:
    """The name of a segment in rejected.jsonl: its recording and its number, counted from 0."""
    return f"{recording_id}#{number:04}"


def label_segments(hypothesis: Hypothesis, max_s: float) -> Iterator[LabelSegment | Rejected]:
    """Each segment in order: as part of a label, or rejected with its reason.

    If two segments overlap by more than OVERLAP_TOLERANCE_S, the later one is rejected. An end after the recording's
    end is moved there, unless the difference is more than a reader of the audio would accept.
    """
    previous_end_cs = 0
    for number, segment in enumerate(hypothesis.segments):
        found = _judged(segment, previous_end_cs, hypothesis, max_s)
        if isinstance(found, LabelSegment):
            previous_end_cs = found.end_cs
            yield found
        else:
            excerpt = segment.text if len(segment.text) <= _SHOWN else f"{segment.text[:_SHOWN]}…"
            times = f"{segment.start_s:.2f} to {segment.end_s:.2f} s"
            detail = f"segment {number}, {times}, {excerpt!r}: {found.detail}"
            recording_id = hypothesis.recording_id
            yield Rejected(segment_id(recording_id, number), found.reason, detail, recording_id)


def _judged(segment: Segment, previous_end_cs: int, recording: Hypothesis, max_s: float) -> LabelSegment | _Fault:
    text = _label_text(segment.text)
    if isinstance(text, _Fault):
        return text
    if not (math.isfinite(segment.start_s) and math.isfinite(segment.end_s)):
        return _Fault("bad_times", "a time is no number")
    start_cs, end_cs = hundredths(segment.start_s), hundredths(segment.end_s)
    if start_cs < 0 or end_cs <= start_cs:
        return _Fault("bad_times", "expected 0 <= start < end")
    if segment.end_s > recording.duration_s + END_TOLERANCE_S or start_cs >= end_of(recording):
        return _Fault("beyond_the_end", f"the recording ends at {recording.duration_s:.2f} s")
    if previous_end_cs - start_cs > hundredths(OVERLAP_TOLERANCE_S):
        return _Fault("overlaps", f"the segment before it ends at {previous_end_cs / 100:.2f} s")
    start_cs, end_cs = max(start_cs, previous_end_cs), min(end_cs, end_of(recording))
    if end_cs - start_cs < MIN_DURATION_S * 100:
        return _Fault("too_short", f"no words fit into less than {MIN_DURATION_S * 1000:g} ms")
    if end_cs - start_cs > hundredths(max_s):
        return _Fault("too_long", f"expected at most {max_s:g} s")
    return LabelSegment(start_cs, end_cs, text, segment)


def _label_text(text: str) -> str | _Fault:
    """The text in the canonical form of a transcript."""
    if _SURROGATE.search(text):
        return _Fault("encoding", "the text is not Unicode")
    if strip_timestamps(text) != text:
        return _Fault("stray_timestamp", "the text holds a timestamp")
    line, findings = canonical_line(f"x {' '.join(text.split())}", KINDS["text"])
    if refused := next((found for found in findings if found.treatment is Treatment.REJECT), None):
        return _Fault(refused.code, refused.message)
    assert line is not None, "the id is good"
    return line.partition(" ")[2] or _Fault(EMPTY, "nothing was heard")
