"""Place a decoded window within its recording: its segments, and the start of the next window. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from k2d.data.rows import DecodedWindow, Segment
from k2d.decode.search import Decoded
from k2d.models.codec import Codec, Reading

_TICKS_PER_S = 1_000_000  # times are rounded to this; otherwise thousands of windows would add up to a drift


@dataclass(frozen=True, slots=True)
class WindowPlace:
    """The place of a window in its recording, and how much of it is audio."""

    start_s: float
    audio_s: float
    min_advance_s: float


@dataclass(frozen=True, slots=True)
class PlacedWindow:
    """A window in the form in which a hypothesis contains it."""

    window: DecodedWindow
    segments: tuple[Segment, ...] = ()
    ids: tuple[int, ...] = ()
    """The ids of its text, for the next window's prompt."""

    @property
    def next_start_s(self) -> float:
        return rounded_time(self.window.start_s + self.window.advance_s)


def place_window(decoded: Decoded, codec: Codec, place: WindowPlace) -> PlacedWindow:
    """Read a window's ids by the family's rules. Keep its times within the recording, and make the next window
    advance.
    """
    reading = codec.read(decoded.ids, place.audio_s)
    segments = _segments(decoded, reading, codec, place)
    advance_s, moved_by = _advance(reading.advance_s if segments else None, place)
    ended = "empty" if decoded.ended == "end" and not segments else decoded.ended
    window = DecodedWindow(
        start_s=place.start_s,
        advance_s=advance_s,
        n_tokens=decoded.n_scored,
        ended=ended,
        moved_by=moved_by,
        mean_logprob=decoded.mean_logprob,
        no_speech=decoded.no_speech,
    )
    return PlacedWindow(window, segments, tuple(token for segment in reading.segments for token in segment.ids))


def _advance(decoded_s: float | None, place: WindowPlace) -> tuple[float, str]:
    """How far to move on, and why. `decoded_s` is the advance by the timestamps, None for a window without text."""
    # The model has processed all of a window without text, so the next window starts after it.
    if decoded_s is None:
        return place.audio_s, "window"
    # A model may write <0.00> repeatedly. Without a minimal advance, the same audio would be decoded for ever.
    least_s = min(place.min_advance_s, place.audio_s)
    if decoded_s < least_s:
        return least_s, "minimum"
    return rounded_time(min(decoded_s, place.audio_s)), "timestamps"


def _segments(decoded: Decoded, reading: Reading, codec: Codec, place: WindowPlace) -> tuple[Segment, ...]:
    """The segments with text, in seconds of the recording."""
    segments = []
    for part in reading.segments:
        text = codec.text(part.ids).strip()
        # The last window is padded with silence up to the model's length, and timestamps may lie in the padding.
        start_s = min(max(part.start_s, 0.0), place.audio_s)
        end_s = min(max(part.end_s, start_s), place.audio_s)
        if text:
            segments.append(
                Segment(
                    rounded_time(place.start_s + start_s),
                    rounded_time(place.start_s + end_s),
                    text,
                    mean_logprob=decoded.mean_logprob,
                    loop=decoded.ended == "loop",
                    language=decoded.language or None,
                )
            )
    return tuple(segments)


def rounded_time(time_s: float) -> float:
    """A time without the rounding errors of adding floats.

    >>> rounded_time(0.1 + 0.2)
    0.3
    """
    return round(time_s * _TICKS_PER_S) / _TICKS_PER_S
