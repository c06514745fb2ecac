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
