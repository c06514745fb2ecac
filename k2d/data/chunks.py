"""Cut long recordings with timestamped segments into chunks that fit into a recogniser's window. Pure functions.

Segments are taken in order, and each is in one chunk as a whole, including the last ones. A chunk never contains a
segment that was rejected for a fault: its audio would contain speech that is missing in its label. There are four ways
to measure the length of a chunk:

- `span`: last end minus first start; the silence between segments is part of the chunk.
- `sum`: the segments alone. The gaps between them are cut out, so a chunk consists of several pieces of the recording.
- `authors`: fixed windows, the first from 0. The next window starts with the segment that did not fit. If more than a
  second of that segment lies in the old window, its start is the last timestamp of the old label, without an end: this
  marks that speech continues. (No family of recognisers has another token for that.)
- `window`: the same windows, but the label of a segment that is cut off at the end contains the words that are spoken
  before the cut, up to the window's end. A student that learns from these sees windows that end in the middle of a
  sentence, as almost all windows do. A student that learns from whole sentences alone writes too much there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import Literal

from k2d.data.label_segments import EMPTY, LabelSegment, end_of, hundredths, label_segments
from k2d.data.rows import Hypothesis, Rejected, Segment
from k2d.data.timed_text import timed_text
from k2d.text.truncate import heard_text

Duration = Literal["span", "sum", "authors", "window"]
Piece = tuple[float, float]  # start and end, in seconds
_Tail = Callable[[LabelSegment, int, int], str]  # takes the segment that is cut off, the window's start and its end

CONTINUED_S = 1.0
"""`authors`: the start of a segment that is cut off is written if more than this much of it lies in the window."""

MIN_SPOKEN_S = 0.5
"""`window`: its words are written if at least this much of it lies in the window."""

_ID_DIGITS = 7  # hundredths of a second, enough for 27 hours


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a recording with its label. Times in the label count from the chunk's start."""

    id: str
    recording_id: str
    start_s: float
    end_s: float
    pieces: tuple[Piece, ...]
    """The parts of the recording in the chunk: everything from start to end, except in `sum`."""
    text: str
    n_segments: int
    mean_logprob: float | None
    """The mean over its segments, weighted by their durations."""
    loop: bool
    """Whether a segment of it comes from a window that was stopped because its text looped."""
    language: str | None = None
    """The language of most of it, if the recogniser gives one."""
    continued: bool = False
    """Whether the label ends with the start, or with some words, of a segment that the window cuts off."""

    @property
    def duration_s(self) -> float:
        return round(sum(end_s - start_s for start_s, end_s in self.pieces), 2)


@dataclass(frozen=True, slots=True)
class Packed:
    """The chunks of one recording, and the counts of its segments."""

    chunks: tuple[Chunk, ...]
    rejected: tuple[Rejected, ...]
    n_moved: int
    """Segments whose start or end was moved: they overlapped slightly, or ended slightly after the recording."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive segments without a rejected one between them, and the time span that they may use."""

    segments: Sequence[LabelSegment]
    start_cs: int
    end_cs: int


@dataclass(frozen=True, slots=True)
class _Group:
    """Segments that go into one chunk, and the time span that it covers."""

    segments: Sequence[LabelSegment]
    start_cs: int
    end_cs: int
    tail: str = ""
    """The part of the label for a segment that the window cuts off."""


def pack(hypothesis: Hypothesis, max_s: float, duration: Duration = "span") -> Packed:
    """The chunks of a recording, and its segments that are in no chunk.

    >>> segments = (Segment(1.0, 4.0, "你好"), Segment(4.5, 9.0, "world"), Segment(9.0, 12.0, "再見"))
    >>> for chunk in pack(Hypothesis("r1", 20.0, segments, ()), max_s=10.0).chunks:
    ...     print(chunk.id, chunk.text)
    r1-0000100-0000900 <0.00>你好<3.00><3.50>world<8.00>
    r1-0000900-0001200 <0.00>再見<3.00>
    """
    found = list(label_segments(hypothesis, max_s))
    groups = (group for run in _runs(found, end_of(hypothesis)) for group in _PACKERS[duration](run, hundredths(max_s)))
    make = _cut_chunk if duration == "sum" else _whole_chunk
    return Packed(
        tuple(make(group, hypothesis) for group in groups),
        tuple(each for each in found if isinstance(each, Rejected)),
        sum(isinstance(each, LabelSegment) and each.was_moved for each in found),
    )


def _runs(found: Sequence[LabelSegment | Rejected], recording_end_cs: int) -> Iterator[_Run]:
    """The segments, split where one was rejected for a fault."""
    runs: list[list[LabelSegment]] = [[]]
    for each in found:
        if isinstance(each, LabelSegment):
            runs[-1].append(each)
        elif each.reason != EMPTY:
            runs.append([])
    for number, run in enumerate(runs):
        if run:
            start_cs = run[0].start_cs if number else 0
            end_cs = run[-1].end_cs if number < len(runs) - 1 else recording_end_cs
            yield _Run(run, start_cs, end_cs)


# --- the four ways to measure length ---


def _greedy(run: _Run, max_cs: int, length_cs: Callable[[list[LabelSegment]], int]) -> Iterator[_Group]:
    """Add segments to a group until the next one would make it too long. That one starts the next group."""
    group: list[LabelSegment] = []
    for segment in run.segments:
        if group and length_cs([*group, segment]) > max_cs:
            yield _Group(group, group[0].start_cs, group[-1].end_cs)
            group = []
        group.append(segment)
    yield _Group(group, group[0].start_cs, group[-1].end_cs)


def _by_clock(run: _Run, max_cs: int, tail_of: _Tail) -> Iterator[_Group]:
    """Fixed windows. A window in which no segment ends has no label and becomes no chunk."""
    group: list[LabelSegment] = []
    start_cs = run.start_cs
    for segment in run.segments:
        window_end_cs = start_cs + max_cs
        if segment.end_cs > window_end_cs:
            if group:
                yield _Group(group, start_cs, window_end_cs, tail_of(segment, start_cs, window_end_cs))
            group, start_cs = [], segment.start_cs
        group.append(segment)
    yield _Group(group, start_cs, min(start_cs + max_cs, run.end_cs))


def _start_of_tail(cut: LabelSegment, start_cs: int, window_end_cs: int) -> str:
    is_announced = window_end_cs - cut.start_cs > hundredths(CONTINUED_S)
    return f"<{(cut.start_cs - start_cs) / 100:.2f}>" if is_announced else ""


def _audible_tail(cut: LabelSegment, start_cs: int, window_end_cs: int) -> str:
    spoken_cs = window_end_cs - cut.start_cs
    words = heard_text(cut.text, spoken_cs / cut.duration_cs) if spoken_cs >= hundredths(MIN_SPOKEN_S) else ""
    return timed_text([Segment(cut.start_cs / 100, window_end_cs / 100, words)], start_cs / 100) if words else ""


_PACKERS: Mapping[Duration, Callable[[_Run, int], Iterator[_Group]]] = {
    "span": partial(_greedy, length_cs=lambda group: group[-1].end_cs - group[0].start_cs),
    "sum": partial(_greedy, length_cs=lambda group: sum(segment.duration_cs for segment in group)),
    "authors": partial(_by_clock, tail_of=_start_of_tail),
    "window": partial(_by_clock, tail_of=_audible_tail),
}


# --- chunks of groups ---


def _whole_chunk(group: _Group, hypothesis: Hypothesis) -> Chunk:
    """A chunk that covers the recording from its start to its end."""
    text = _text(group.segments, [segment.start_cs - group.start_cs for segment in group.segments])
    return _chunk(group, hypothesis, text + group.tail, ((group.start_cs / 100, group.end_cs / 100),))


def _cut_chunk(group: _Group, hypothesis: Hypothesis) -> Chunk:
    """A chunk of the segments alone, joined without the gaps between them."""
    durations_cs = [segment.duration_cs for segment in group.segments]
    pieces: list[Piece] = []
    for segment in group.segments:
        start_s = pieces.pop()[0] if pieces and pieces[-1][1] == segment.start_cs / 100 else segment.start_cs / 100
        pieces.append((start_s, segment.end_cs / 100))
    text = _text(group.segments, list(accumulate(durations_cs[:-1], initial=0)))
    return _chunk(group, hypothesis, text, tuple(pieces))


def _text(segments: Sequence[LabelSegment], starts_cs: Sequence[int]) -> str:
    return timed_text(
        Segment(start_cs / 100, (start_cs + segment.duration_cs) / 100, segment.text)
        for segment, start_cs in zip(segments, starts_cs, strict=True)
    )


def _chunk(group: _Group, hypothesis: Hypothesis, text: str, pieces: tuple[Piece, ...]) -> Chunk:
    return Chunk(
        id=_id(group, hypothesis),
        recording_id=hypothesis.recording_id,
        start_s=group.start_cs / 100,
        end_s=group.end_cs / 100,
        pieces=pieces,
        text=text,
        n_segments=len(group.segments),
        mean_logprob=_mean_logprob(group.segments),
        loop=any(each.segment.loop for each in group.segments),
        language=_language(group.segments),
        continued=bool(group.tail),
    )


def _id(group: _Group, hypothesis: Hypothesis) -> str:
    """The recording and the times. All ids of a recording have the same number of digits, so they sort by time."""
    n_digits = max(_ID_DIGITS, len(str(end_of(hypothesis))))
    return f"{hypothesis.recording_id}-{group.start_cs:0{n_digits}}-{group.end_cs:0{n_digits}}"


def _mean_logprob(segments: Sequence[LabelSegment]) -> float | None:
    known = [(s.segment.mean_logprob, s.duration_cs) for s in segments if s.segment.mean_logprob is not None]
    total_cs = sum(duration_cs for _, duration_cs in known)
    return round(sum(logprob * cs for logprob, cs in known) / total_cs, 2) if known else None


def _language(segments: Sequence[LabelSegment]) -> str | None:
    """The language with the longest duration; if two are equal, the first one."""
    spoken_cs: Counter[str] = Counter()
    for each in segments:
        if each.segment.language is not None:
            spoken_cs[each.segment.language] += each.duration_cs
    return spoken_cs.most_common(1)[0][0] if spoken_cs else None
