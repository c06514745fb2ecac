"""Every kind of row that a stage writes or reads, one frozen dataclass each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech: a line of `text`, `utt2spk`, and of `segments` if it is part of a longer recording.

    `audio` is the value in `wav.scp`: a path (absolute, or relative to the project root) or `file.ark:offset`.
    Without times the utterance is the whole recording, and `recording_id` equals `id`.
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
    """A line of `wav.scp`, with its duration where `reco2dur` (or, without segments, `utt2dur`) states it."""

    id: str
    audio: str
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item that was left out, and why: a line of rejected.jsonl."""

    id: str
    reason: str
    detail: str
    source: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a recording with what a recogniser heard in it."""

    start_s: float
    end_s: float
    text: str
    mean_logprob: float | None = None
    """Of the window that it was heard in, rounded to two decimals."""
    loop: bool = False
    """The window was stopped because its text ran in circles."""
    language: str | None = None


@dataclass(frozen=True, slots=True)
class DecodedWindow:
    """One look at a recording: where, how much was said, and why it ended."""

    start_s: float
    advance_s: float
    n_tokens: int
    ended: str
    """`end` (the model ended it), `budget` (too many tokens), `loop`, `silence` (skipped), `empty` (nothing heard)."""
    moved_by: str
    """`timestamps`, `window` (all of it), `minimum` (the timestamps said less than the smallest advance)."""
    mean_logprob: float | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What a recogniser heard in one recording: a line of hyp.jsonl."""

    recording_id: str
    duration_s: float
    segments: tuple[Segment, ...]
    windows: tuple[DecodedWindow, ...]
