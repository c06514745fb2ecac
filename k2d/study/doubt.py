"""What the teacher itself shows of its doubt about a label: in the windows that it decoded, and in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from k2d.data.rows import DecodedWindow
from k2d.select.labels import compressed_sizes

SOUND_ENDS = ("end", "silence")
"""How a window ends if nothing is wrong with it. Others have no text, or had to be stopped."""

Ranges = Sequence[tuple[float, float]]  # start and end of the pieces of a chunk, in seconds


@dataclass(frozen=True, slots=True)
class Doubt:
    """Figures about one label. None: it was not stored."""

    mean_logprob: float | None
    """The mean over the label's segments, from the chunks' table utt2logprob."""
    lowest_logprob: float | None
    """The lowest mean of a window that overlaps the chunk."""
    highest_no_speech: float | None
    """The highest probability that nobody speaks, of a window that overlaps the chunk."""
    failed_share: float | None
    """The share of the chunk in windows that ended by a loop, by too many tokens, or without text."""
    compression: float
    """Bytes of the text per byte of zlib."""
    tokens_per_s: float


def doubt_of(
    text: str, n_tokens: int, ranges: Ranges, windows: Sequence[DecodedWindow], mean_logprob: float | None
) -> Doubt:
    """The figures of a label. `text` is normalised; `windows` are those of the chunk's recording.

    >>> stated = [(0.0, 6.0, 9, "end", "window", -0.2, 0.3), (6.0, 9.0, 30, "loop", "window", -1.5, 0.1)]
    >>> windows = [DecodedWindow(*each) for each in stated]
    >>> found = doubt_of("我 们 用 gpu", 4, [(4.0, 12.0)], windows, -0.7)
    >>> found.lowest_logprob, found.highest_no_speech, found.failed_share, found.tokens_per_s
    (-1.5, 0.3, 0.75, 0.5)
    """
    overlaps_s = [_overlap_s(window, ranges) for window in windows]
    heard = [(window, overlap_s) for window, overlap_s in zip(windows, overlaps_s, strict=True) if overlap_s > 0]
    logprobs = [window.mean_logprob for window, _ in heard if window.mean_logprob is not None]
    total_s = sum(overlap_s for _, overlap_s in heard)
    failed_s = sum(overlap_s for window, overlap_s in heard if window.ended not in SOUND_ENDS)
    n_bytes, n_compressed = compressed_sizes(text)
    return Doubt(
        mean_logprob=mean_logprob,
        lowest_logprob=min(logprobs, default=None),
        highest_no_speech=max((w.no_speech for w, _ in heard if w.no_speech is not None), default=None),
        failed_share=failed_s / total_s if heard else None,
        compression=n_bytes / n_compressed,
        tokens_per_s=n_tokens / sum(end_s - start_s for start_s, end_s in ranges),
    )


def _overlap_s(window: DecodedWindow, ranges: Ranges) -> float:
    """How much of a chunk was written by a window. The next window continues where its advance ends."""
    window_end_s = window.start_s + window.advance_s
    return sum(max(0.0, min(end_s, window_end_s) - max(start_s, window.start_s)) for start_s, end_s in ranges)
