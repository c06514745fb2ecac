"""Shared by greedy and beam search: the limits of a search, and its result."""

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

# A loop test costs as much as a few decoder steps, so it is not run at every token.
LOOP_FIRST_TOKENS = 16
LOOP_EVERY_TOKENS = 8

_UP_TO_LAST_TIME = re.compile(r".*<[0-9]+\.[0-9]{2}>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Decoded:
    """The ids of one window without prompt and end, why the search stopped, and the model's confidence."""

    ids: tuple[int, ...]
    ended: str
    """`end`, `budget`, `loop` or `silence`, as in a DecodedWindow."""
    logprob: float = 0.0
    """The sum over the ids, and over the end token if the model wrote one."""
    language: str = ""
    temperature: float = 0.0
    no_speech: float | None = None
    """The model's probability that nobody speaks, rounded as the confidence is. None: it has none."""

    @property
    def mean_with_end(self) -> float:
        """The mean log-probability for Whisper's thresholds."""
        # Whisper divides by the tokens + 1, even if the budget stopped a text before its end token.
        return self.logprob / (len(self.ids) + 1)

    @property
    def n_scored(self) -> int:
        return len(self.ids) + (self.ended == "end")

    @property
    def mean_logprob(self) -> float | None:
        """The rounded mean log-probability. None if nothing was decoded."""
        # Sums over batches of different shapes differ in their last bits. Rounding makes the result independent of the
        # other windows in the batch; adding 0.0 turns -0.0 into 0.0.
        return round(self.logprob / self.n_scored, 2) + 0.0 if self.n_scored else None


@dataclass(frozen=True, slots=True)
class LoopWatch:
    """Detects a window whose text loops. A window is stopped only if the selection would find the loop, too."""

    codec: Codec
    is_loop: IsLoop
    audio_s: Sequence[float]
    """The length of the audio in each window."""

    def stops(self, window: int, ids: Sequence[int]) -> bool:
        """True if the decoded text loops: the complete segments, or the unfinished rest after the last timestamp."""
        n = len(ids)
        if n < LOOP_FIRST_TOKENS or n % LOOP_EVERY_TOKENS:
            return False
        timed_text = self.codec.timed_text(ids)
        if not self.is_loop(strip_timestamps(timed_text)):
            return False
        # The whole text loops. Only complete segments are kept, and the next window decodes the rest again. A loop
        # across both parts would not be in the kept text, where the selection looks for it, so each must loop alone.
        segments = self.codec.read(ids, self.audio_s[window]).segments
        kept = " ".join(self.codec.text(segment.ids) for segment in segments)
        return self.is_loop(kept) or self.is_loop(_UP_TO_LAST_TIME.sub("", timed_text))


class Draws(Protocol):
    """Tokens sampled at random."""

    def tokens(self, log_probs_RV: Tensor, windows: Sequence[int], step: int) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Search:
    """A batch of windows to search: the recogniser, its prompt, and where to stop."""

    recogniser: Recogniser
    request: Request
    budgets: Sequence[int]
    """The largest number of tokens of each window, including the end."""
    loops: LoopWatch | None = None
    draws: Draws | None = None
    """Samples the next token, instead of the best one, at a temperature above 0."""

    def log_probs(self, logits_RV: Tensor, generated_RL: Tensor) -> Tensor:
        return self.recogniser.constrain(logits_RV, generated_RL, self.request)

    def is_end(self, token: int) -> bool:
        return token == self.recogniser.codec.eos_id

    def why_stopped(self, window: int, ids: Sequence[int]) -> str | None:
        """`loop` or `budget` if the search must stop although the model would continue."""
        if self.loops is not None and self.loops.stops(window, ids):
            return "loop"
        return "budget" if len(ids) >= self.budgets[window] else None


def refuse_nan(scores: Sequence[float]) -> None:
    """Raise if a score is not a number: broken weights give such scores, and so does an overflow in fp16."""
    if any(score != score for score in scores):  # only NaN differs from itself
        message = "the model's output is not a number (NaN); check its weights, or decode in fp32"
        raise K2DError(message)
