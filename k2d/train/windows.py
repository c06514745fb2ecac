"""Compose windows of several utterances with pauses between them, so that their times are exact. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2d.text.truncate import heard_text

_MIN_CUT_S = 0.5  # an utterance is left out if less than this of it would remain


@dataclass(frozen=True, slots=True)
class Layout:
    """How a window is composed."""

    length_s: float
    time_step_s: float
    cut_share: float = 0.0
    """How often an utterance that reaches beyond the end is cut there instead of left out."""
    longest_pause_s: float = 2.0
    short_share: float = 0.0
    """How often the rest of the window is silent after one of the utterances, as at the end of a recording."""

    @property
    def n_steps(self) -> int:
        return round(self.length_s / self.time_step_s)


@dataclass(frozen=True, slots=True)
class Placed:
    """An utterance in a window. Start and end are in steps of the time grid."""

    utterance: int
    start: int
    end: int
    share: float = 1.0
    """The share of the utterance that lies within the window."""


def compose(rng: np.random.Generator, durations_s: NDArray[np.float64], layout: Layout) -> tuple[Placed, ...]:
    """Draw utterances, all equally likely, until the window is full. None is longer than the window."""
    placed: list[Placed] = []
    longest_pause = round(layout.longest_pause_s / layout.time_step_s)
    end = 0
    while True:
        utterance = int(rng.integers(len(durations_s)))
        length = math.ceil(round(durations_s[utterance] / layout.time_step_s, 6))
        start = end + int(rng.integers(longest_pause + 1))
        if not placed:
            start = min(start, layout.n_steps - length)
        end = start + length
        if end > layout.n_steps:
            break
        placed.append(Placed(utterance, start, end))
    if layout.short_share and rng.random() < layout.short_share:
        return tuple(placed[: 1 + int(rng.integers(len(placed)))])
    n_left = layout.n_steps - start
    if rng.random() < layout.cut_share and n_left * layout.time_step_s >= _MIN_CUT_S:
        placed.append(Placed(utterance, start, layout.n_steps, n_left * layout.time_step_s / durations_s[utterance]))
    return tuple(placed)


def timed_text(placed: Sequence[Placed], texts: Sequence[str], time_step_s: float) -> str:
    """The label of a window.

    >>> timed_text([Placed(1, 2, 14), Placed(0, 20, 30)], ["hello", "你好"], 0.1)
    '<0.20>你好<1.40><2.00>hello<3.00>'
    """
    return "".join(
        f"<{p.start * time_step_s:.2f}>{heard_text(texts[p.utterance], p.share)}<{p.end * time_step_s:.2f}>"
        for p in placed
    )
