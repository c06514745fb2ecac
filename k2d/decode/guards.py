"""What becomes of a decoded window: its segments within the recording, and where the next window starts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from k2d.data.rows import DecodedWindow, Segment
from k2d.decode.search import Decoded
from k2d.models.codec import Codec, Reading

_TICKS_PER_S = 1_000_000  # times are kept to this, or thousands of windows would add up to a drift


@dataclass(frozen=True, slots=True)
class Place:
    """Where a window lies in its recording, and how much of it is audio."""

    start_s: float
    audio_s: float
    min_advance_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A window as it goes into a hypothesis."""

    window: DecodedWindow
    segments: tuple[Segment, ...] = ()
    ids: tuple[int, ...] = ()
    """Of its text, for the next window's prompt."""

    @property
    def next_start_s(self) -> float:
        return tidy(self.window.start_s + self.window.advance_s)


def heard(decoded: Decoded, codec: Codec, place: Place) -> Heard:
    """Read a window's ids by the family's rules, and keep the result within the recording and moving."""
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
    )
    return Heard(window, segments, tuple(token for segment in reading.segments for token in segment.ids))


def _advance(said_s: float | None, place: Place) -> tuple[float, str]:
    """How far to move: what the timestamps say, but at least the smallest advance and at most all the audio.

    A window without any text is passed by as a whole: the model has looked at all of it.
    """
    if said_s is None:
        return place.audio_s, "window"
    least_s = min(place.min_advance_s, place.audio_s)
    return (least_s, "minimum") if said_s < least_s else (tidy(min(said_s, place.audio_s)), "timestamps")


def _segments(decoded: Decoded, reading: Reading, codec: Codec, place: Place) -> tuple[Segment, ...]:
    """The stretches that hold text, in seconds of the recording, none beyond its end."""
    segments = []
    for part in reading.segments:
        text = codec.text(part.ids).strip()
        start_s = min(max(part.start_s, 0.0), place.audio_s)
        end_s = min(max(part.end_s, start_s), place.audio_s)
        if text:
            segments.append(
                Segment(
                    tidy(place.start_s + start_s),
                    tidy(place.start_s + end_s),
                    text,
                    mean_logprob=decoded.mean_logprob,
                    loop=decoded.ended == "loop",
                    language=decoded.language or None,
                )
            )
    return tuple(segments)


def tidy(time_s: float) -> float:
    """Without the noise of adding floats.

    >>> tidy(0.1 + 0.2)
    0.3
    """
    return round(time_s * _TICKS_PER_S) / _TICKS_PER_S
