"""What is to be synthesised, completely described: a unit is what one process makes, and its spec is its identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from egs.mini.voices import Voice


@dataclass(frozen=True, slots=True)
class Event:
    """Something that is heard while nobody speaks."""

    kind: Literal["applause", "music"]
    duration_s: float


@dataclass(frozen=True, slots=True)
class Line:
    """An utterance: `text` is said after `pause_s` of silence, in which an event may lie."""

    id: str
    voice: Voice
    speed_wpm: int
    text: str
    pause_s: float
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a recording was made: the same seed makes the same room and noise."""

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
    """What is made in one fresh process: a long recording, or a block of short ones."""

    id: str
    split: str
    recordings: tuple[Recording, ...]

    def spec(self, makers: Sequence[str]) -> str:
        """A hash of all that the audio depends on: this description and the versions of what makes it."""
        description = json.dumps([asdict(self), list(makers)], ensure_ascii=False, sort_keys=True)
        return hashlib.sha256(description.encode()).hexdigest()
