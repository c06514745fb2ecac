"""Complete descriptions of what is synthesised. A unit is what one process makes; a hash of its spec identifies it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from egs.mini.voices import Voice


@dataclass(frozen=True, slots=True)
class Event:
    """A sound while nobody speaks."""

    kind: Literal["applause", "music"]
    duration_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance: `text` is spoken after `pause_s` of silence, which may contain an event."""

    id: str
    voice: Voice
    speed_wpm: int
    text: str
    pause_s: float
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """The acoustics of a recording. The same seed gives the same room and noise."""

    snr_db: float
    reverb_s: float
    level_db: float
    seed: int


@dataclass(frozen=True, slots=True)
class Recording:
    """A file to be made."""

    id: str
    course: str
    scene: Scene
    lines: tuple[Line, ...]
    tail_s: float


@dataclass(frozen=True, slots=True)
class Unit:
    """What is made in one new process: a long recording, or a block of short ones."""

    id: str
    split: str
    recordings: tuple[Recording, ...]

    def spec(self, makers: Sequence[str]) -> str:
        """A hash of everything that the audio depends on: this description and the versions of code and libraries."""
        description = json.dumps([asdict(self), list(makers)], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(description.encode()).hexdigest()
