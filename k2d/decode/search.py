"""What greedy and beam search share: the limits of a search, and what it found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from k2d.core.errors import K2DError
from k2d.models.codec import Codec, Request
from k2d.text.timestamps import strip_timestamps

if TYPE_CHECKING:
    from torch import Tensor

    from k2d.models.interface import Recogniser

IsLoop = Callable[[str], bool]

# Looking for loops costs as much as a few decoder steps, so it is done now and then.
LOOP_FIRST_TOKENS = 16
LOOP_EVERY_TOKENS = 8

_UP_TO_LAST_TIME = re.compile(r".*<[0-9]+\.[0-9]{2}>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The ids of one window without prompt and end, why they ended, and how sure the model was."""

    ids: tuple[int, ...]
    ended: str
    """`end`, `budget`, `loop` or `silence`, as in a DecodedWindow."""
    logprob: float = 0.0
    """Sum over the ids, and the end if the model wrote it."""
    language: str = ""
    temperature: float = 0.0

    @property
    def mean_with_end(self) -> float:
        """Mean log-probability as Whisper's thresholds know it: the end counts even where it was not written."""
        return self.logprob / (len(self.ids) + 1)

    @property
    def n_scored(self) -> int:
        return len(self.ids) + (self.ended == "end")

    @property
    def mean_logprob(self) -> float | None:
        """Rounded, so that it does not depend on what else was in the batch; None where nothing was decoded."""
        return round(self.logprob / self.n_scored, 2) + 0.0 if self.n_scored else None


@dataclass(frozen=True, slots=True)
class LoopWatch:
    """Tells when a window runs in circles, so that stopping it hides nothing from the selection."""

    codec: Codec
    is_loop: IsLoop
    audio_s: Sequence[float]
    """Of each window."""

    def stops(self, window: int, ids: Sequence[int]) -> bool:
        """Whether what would be kept of these ids fails the test, or else the open end that is decoded again."""
        n = len(ids)
        if n < LOOP_FIRST_TOKENS or n % LOOP_EVERY_TOKENS:
            return False
        timed_text = self.codec.timed_text(ids)
        if not self.is_loop(strip_timestamps(timed_text)):
            return False
        segments = self.codec.read(ids, self.audio_s[window]).segments
        kept = " ".join(self.codec.text(segment.ids) for segment in segments)
        return self.is_loop(kept) or self.is_loop(_UP_TO_LAST_TIME.sub("", timed_text))


class Draws(Protocol):
    """Tokens by chance."""

    def tokens(self, log_probs_RV: Tensor, windows: Sequence[int], step: int) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Search:
    """A batch of windows to search: the recogniser, what was asked of it, and where to stop."""

    recogniser: Recogniser
    request: Request
    budgets: Sequence[int]
    """Most tokens of each window, the end included."""
    loops: LoopWatch | None = None
    draws: Draws | None = None
    """In place of the best token, where a temperature above 0 is asked for."""

    def log_probs(self, logits_RV: Tensor, generated_RL: Tensor) -> Tensor:
        return self.recogniser.constrain(logits_RV, generated_RL, self.request)

    def is_end(self, token: int) -> bool:
        return token == self.recogniser.codec.eos_id

    def why_stopped(self, window: int, ids: Sequence[int]) -> str | None:
        """`loop` or `budget` when these ids, to which the model wants to add more, are enough."""
        if self.loops is not None and self.loops.stops(window, ids):
            return "loop"
        return "budget" if len(ids) >= self.budgets[window] else None


def refuse_nan(scores: Sequence[float]) -> None:
    """Raise when a score is not a number, which is what broken weights give."""
    if any(score != score for score in scores):
        message = "the model's output is not a number (NaN); check its weights, or decode in fp32"
        raise K2DError(message)
