"""The agreement of two decodings of the same recordings, window by window, for batch sizes, precisions or devices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from k2d.data.rows import DecodedWindow, Hypothesis, Segment


@dataclass(frozen=True, slots=True)
class Difference:
    """A window that differs between the two sides."""

    recording_id: str
    start_s: float
    one: str
    """The text with its times. Empty if there is no window at this time."""
    other: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The number of compared windows (of either side), and the windows that differ."""

    n_windows: int
    differences: tuple[Difference, ...]

    @property
    def share(self) -> float:
        """The share of windows that are equal.

        >>> Agreement(1000, (Difference("a", 0.0, "<0.00>a<1.00>", ""),)).share
        0.999
        """
        return 1 - len(self.differences) / self.n_windows if self.n_windows else 1.0


def agreement(one: Iterable[Hypothesis], other: Iterable[Hypothesis]) -> Agreement:
    """Compare text, times and reasons of every window. Log-probabilities may differ."""
    ones, others = _by_place(one), _by_place(other)
    places = sorted(ones | others)
    pairs = ((place, ones.get(place, ""), others.get(place, "")) for place in places)
    return Agreement(len(places), tuple(Difference(*place, a, b) for place, a, b in pairs if a != b))


def _by_place(hypotheses: Iterable[Hypothesis]) -> dict[tuple[str, float], str]:
    return {
        (hypothesis.recording_id, window.start_s): _window_text(window, segments)
        for hypothesis in hypotheses
        for window, segments in segments_by_window(hypothesis)
    }


def segments_by_window(hypothesis: Hypothesis) -> Iterator[tuple[DecodedWindow, list[Segment]]]:
    """Each window with the segments that start before the next window does."""
    remaining = list(hypothesis.segments)
    for window, following in zip(hypothesis.windows, [*hypothesis.windows[1:], None], strict=True):
        n = len(remaining)
        if following is not None:
            n = sum(segment.start_s < following.start_s for segment in remaining)
        yield window, remaining[:n]
        remaining = remaining[n:]


def _window_text(window: DecodedWindow, segments: Iterable[Segment]) -> str:
    text = "".join(f"<{segment.start_s:.2f}>{segment.text}<{segment.end_s:.2f}>" for segment in segments)
    return f"{text} ({window.ended}, {window.n_tokens} tokens, on by {window.advance_s:g} s)"
