"""Between timestamped text and ids: what every family's codec offers. Nothing here needs torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

TIMESTAMP = re.compile(r"<([0-9]+(?:\.[0-9]+)?)>")
"""A timestamp in a text, as k2d/text/timestamps.py has it."""
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What tokens for single bytes can spell, and what would break a line."""


@dataclass(frozen=True, slots=True)
class Window:
    """The stretch of audio that a recogniser encodes at once, and the grid of its timestamps."""

    length_s: float
    rate_hz: int
    time_step_s: float

    @property
    def n_samples(self) -> int:
        return round(self.length_s * self.rate_hz)


@dataclass(frozen=True, slots=True)
class Request:
    """What the prompt asks for, the same for every window."""

    languages: tuple[str, ...] = ()
    """Names without brackets (`zho`, `zh`); none: the recogniser's default, or its own guess per window."""
    timestamps: bool = True


@dataclass(frozen=True, slots=True)
class WindowSegment:
    """A stretch of text within a window, in seconds from the window's start."""

    start_s: float
    end_s: float
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How the family's own rules read the ids of one window, before any guard.

    `advance_s`: how far the next window starts behind this one; None: the whole window.
    """

    segments: tuple[WindowSegment, ...]
    advance_s: float | None


class Codec(Protocol):
    """Between timestamped text (`<0.00>你好<1.20>`) and the ids of a family. It needs no network and no torch."""

    @property
    def eos_id(self) -> int: ...

    @property
    def n_tokens(self) -> int:
        """Size of the vocabulary: V in the names of tensors."""
        ...

    @property
    def special_ids(self) -> Sequence[int]:
        """The ids that stand for no text: control tokens, languages and timestamps; ascending."""
        ...

    @property
    def language_ids(self) -> Mapping[str, int]:
        """The token of each language by name; empty if prompts name no language."""
        ...

    @property
    def vocabulary_hash(self) -> str:
        """Equal for two models whose ids mean the same."""
        ...

    @property
    def spelling_hash(self) -> str:
        """Equal for two codecs that turn every text into the same ids."""
        ...

    def ids(self, timed_text: str) -> list[int]:
        """Text with or without timestamps to ids: no prompt, no end."""
        ...

    def timed_text(self, ids: Sequence[int]) -> str:
        """The reverse of `ids`, timestamps written with two decimals; other special tokens are left out."""
        ...

    def text(self, ids: Sequence[int]) -> str:
        """Plain text: no timestamp, no special token."""
        ...

    def label(self, timed_text: str, request: Request, previous_text: str = "") -> tuple[list[int], int]:
        """Prompt, text and end as one teacher-forced sequence, and the number of prompt ids, which carry no loss."""
        ...

    def sequence(self, ids: Sequence[int], request: Request, previous_ids: Sequence[int] = ()) -> tuple[list[int], int]:
        """As `label`, from the ids of a text and of the text before it."""
        ...

    def read(self, ids: Sequence[int], audio_s: float) -> Reading:
        """Segments and advance by the family's rules, from a window's ids (no prompt, no end) and its real audio."""
        ...
