"""Timestamped text, such as `<0.00>你好<1.20><1.50>world<2.40>`: write it from segments, and parse it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from k2d.core.errors import Fault, Treatment
from k2d.data.rows import Segment

_MARK = re.compile(r"<([0-9]+(?:\.[0-9]+)?)>")
_ALMOST_A_MARK = re.compile(r"<[-+0-9.,:\s]*[0-9][-+0-9.,:\s]*>?")


def timed_text(segments: Iterable[Segment], offset_s: float = 0.0) -> str:
    """The segments as timestamped text, their times counted from `offset_s`.

    >>> timed_text([Segment(5.0, 6.2, "你好"), Segment(6.5, 7.4, "world")], offset_s=5.0)
    '<0.00>你好<1.20><1.50>world<2.40>'
    """
    return "".join(
        f"<{segment.start_s - offset_s:.2f}>{segment.text}<{segment.end_s - offset_s:.2f}>" for segment in segments
    )


def segments_of(text: str, window_s: float | None = None) -> list[Segment] | Fault:
    """The segments of a timestamped text, or its fault.

    >>> segments_of("<0.00> 你好 <1.20>")
    [Segment(start_s=0.0, end_s=1.2, text='你好', mean_logprob=None, loop=False, language=None)]
    >>> print(segments_of("<0.00>你好<1.20>world"))
    a text stands outside of any pair of timestamps: 'world'
    """
    between, stamps = _MARK.split(text)[::2], _MARK.split(text)[1::2]
    outside, inside = [part.strip() for part in between[::2]], [part.strip() for part in between[1::2]]
    times_s = [float(stamp) for stamp in stamps]
    if odd := _ALMOST_A_MARK.search(_MARK.sub(" ", text)):
        return _fault("malformed_timestamp", f"{odd.group()!r} is no timestamp, expected one such as <1.20>")
    if len(times_s) % 2:
        return _fault("odd_timestamps", f"{len(times_s)} timestamps, expected a start and an end for each segment")
    if stray := next(filter(None, outside), ""):
        return _fault("text_outside", f"a text stands outside of any pair of timestamps: {stray[:40]!r}")
    if window_s is not None and times_s and max(times_s) > window_s:
        return _fault("beyond_the_window", f"<{max(times_s):.2f}> lies beyond the window of {window_s:g} s")
    if backwards := next((pair for pair in pairwise(times_s) if pair[1] < pair[0]), None):
        return _fault("decreasing_timestamps", f"<{backwards[1]:.2f}> follows <{backwards[0]:.2f}>")
    if "" in inside:
        return _fault("glued_timestamps", "a segment has no text between its two timestamps")
    pairs = zip(times_s[::2], times_s[1::2], inside, strict=True)
    return [Segment(start_s, end_s, words) for start_s, end_s, words in pairs]


def _fault(code: str, message: str) -> Fault:
    return Fault(Treatment.QUARANTINE, code, message)
