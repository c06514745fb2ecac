"""Words that a recogniser invents where nobody speaks: in utterances whose reference has no words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Invention:
    """The counts of utterances without words in the reference. They are added up."""

    n_utterances: int = 0
    n_with_text: int = 0
    """Those for which the hypothesis has words."""
    n_tokens: int = 0
    """The words in these hypotheses."""
    seconds: float | None = 0.0
    """The length of the utterances. None if that of one is not known."""

    def __add__(self, other: Invention) -> Invention:
        """
        >>> Invention(1, 1, 9, 30.0) + Invention(1, 0, 0, 60.0)
        Invention(n_utterances=2, n_with_text=1, n_tokens=9, seconds=90.0)
        """
        is_known = self.seconds is not None and other.seconds is not None
        return Invention(
            self.n_utterances + other.n_utterances,
            self.n_with_text + other.n_with_text,
            self.n_tokens + other.n_tokens,
            (self.seconds or 0.0) + (other.seconds or 0.0) if is_known else None,
        )

    @property
    def per_minute(self) -> float | None:
        """Words per minute of audio without speech.

        >>> Invention(2, 1, 9, 90.0).per_minute
        6.0
        """
        return 60 * self.n_tokens / self.seconds if self.seconds else None

    def as_json(self) -> dict[str, int | float | None]:
        return {
            "utterances": self.n_utterances,
            "with_text": self.n_with_text,
            "tokens": self.n_tokens,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }


def invented(n_tokens: int, duration_s: float | None) -> Invention:
    """The counts of one utterance without speech.

    >>> invented(0, 30.0)
    Invention(n_utterances=1, n_with_text=0, n_tokens=0, seconds=30.0)
    """
    return Invention(1, int(n_tokens > 0), n_tokens, duration_s)


def stored_invention(raw: Mapping[str, Any] | None) -> Invention | None:
    """The counts of a score.json. None if every reference has words. ValueError if they are impossible."""
    if raw is None:
        return None
    seconds = raw["seconds"]
    found = Invention(
        int(raw["utterances"]), int(raw["with_text"]), int(raw["tokens"]), None if seconds is None else float(seconds)
    )
    if not 0 <= found.n_with_text <= found.n_utterances or found.n_tokens < found.n_with_text:
        raise ValueError(f"counts that cannot be: {found}")
    return found
