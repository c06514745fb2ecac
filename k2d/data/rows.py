"""The rows that stages write and read, one frozen dataclass for each kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech: a line of `text` and `utt2spk`, and of `segments` if it is part of a longer recording.

    `audio` is the value in `wav.scp`: a path (absolute, or relative to the project root) or `file.ark:offset`.
    An utterance without times is a whole recording, and `recording_id` equals `id`.
    """

    id: str
    recording_id: str
    audio: str
    speaker: str
    text: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A line of `wav.scp`, with its duration if `reco2dur` (or, without segments, `utt2dur`) has it."""

    id: str
    audio: str
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that was left out, with the reason: a line of rejected.jsonl."""

    id: str
    reason: str
    detail: str
    source: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a recording with a recogniser's text."""

    start_s: float
    end_s: float
    text: str
    mean_logprob: float | None = None
    """The mean of its window, rounded to two decimals."""
    loop: bool = False
    """The window was stopped because its text looped."""
    language: str | None = None


@dataclass(frozen=True, slots=True)
class DecodedWindow:
    """A decoded window of a recording: its place, its number of tokens, and why decoding stopped."""

    start_s: float
    advance_s: float
    n_tokens: int
    ended: str
    """`end` (end token), `budget` (too many tokens), `loop`, `silence` (skipped), `empty` (no text)."""
    moved_by: str
    """`timestamps`, `window` (the whole window), `minimum` (the timestamps gave less than the smallest advance)."""
    mean_logprob: float | None = None
    no_speech: float | None = None
    """The model's probability that nobody speaks in the window, if its family has one."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A recogniser's text for one recording: a line of hyp.jsonl."""

    recording_id: str
    duration_s: float
    segments: tuple[Segment, ...]
    windows: tuple[DecodedWindow, ...]
