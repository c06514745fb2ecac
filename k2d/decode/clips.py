"""Decode clips of one window each as plain text without timestamps, for opinions and for test sets with segments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from k2d.data.audio import AudioError
from k2d.decode.options import Options
from k2d.decode.search import Decoded, IsLoop
from k2d.decode.sources import Clip, Failed, OpenAudio
from k2d.decode.whole_window_engine import window_decoder_for
from k2d.decode.window_batch import WindowDecoder, WindowInput
from k2d.models.interface import Recogniser

# Clips are read this many batches ahead, so that clips of similar length can be decoded together.
_BATCHES_AHEAD = 8


@dataclass(frozen=True, slots=True)
class ClipText:
    """The text of a clip."""

    id: str
    text: str
    duration_s: float
    n_tokens: int
    ended: str
    """`end`, `budget`, `loop`, `silence` or `empty`, as in a DecodedWindow."""
    mean_logprob: float | None = None
    language: str | None = None


def decode_clips(
    recogniser: Recogniser,
    clips: Iterable[Clip],
    options: Options,
    is_loop: IsLoop | None = None,
    on_clip: Callable[[Clip], None] = lambda _: None,
) -> Iterator[ClipText | Failed]:
    """Yield the text of each clip, in the given order. A clip that cannot be read gives a Failed.

    `on_clip` is called for each clip as soon as its batch is decoded, before the clip is yielded.
    """
    decode = window_decoder_for(recogniser, replace(options, timestamps=False), is_loop)
    remaining = iter(clips)
    while pool := list(islice(remaining, options.batch_size * _BATCHES_AHEAD)):
        found: dict[int, ClipText | Failed] = {}
        windows: dict[int, WindowInput] = {}
        for place, clip in enumerate(pool):
            read = read_clip(clip, recogniser)
            if isinstance(read, Failed):
                found[place] = read
            else:
                windows[place] = read
        for place, decoded in _decode_by_length(decode, windows):
            duration_s = pool[place].speed * len(windows[place].samples) / recogniser.window.rate_hz
            found[place] = _clip_text(pool[place].id, duration_s, decoded, recogniser)
            on_clip(pool[place])
        yield from (found[place] for place in range(len(pool)))


def read_clip(clip: Clip, recogniser: Recogniser) -> WindowInput | Failed:
    """The samples of a clip, or the reason why they cannot be read."""
    window = recogniser.window
    try:
        audio = OpenAudio.of(clip)
        if round(audio.duration_s * window.rate_hz) > window.n_samples:
            length = f"{audio.duration_s:.2f} s, longer than the model's window of {window.length_s:g} s"
            detail = f"{clip.audio}: the clip lasts {length}; split it, or decode it as a recording"
            return Failed(clip.id, "too_long", detail)
        # Samples at a lower rate that count as samples at the model's rate are a faster recording.
        rate_hz = round(window.rate_hz / clip.speed)
        return WindowInput(audio.samples(0.0, audio.duration_s, rate_hz), key=clip.id)
    except AudioError as error:
        return Failed.of(clip.id, error)


def _decode_by_length(decode: WindowDecoder, windows: dict[int, WindowInput]) -> Iterator[tuple[int, Decoded]]:
    """Batches of similar length, the longest first, so that a lack of memory shows at once."""
    places = sorted(windows, key=lambda place: -len(windows[place].samples))
    for first in range(0, len(places), decode.options.batch_size):
        batch = places[first : first + decode.options.batch_size]
        yield from zip(batch, decode([windows[place] for place in batch]), strict=True)


def _clip_text(clip_id: str, duration_s: float, decoded: Decoded, recogniser: Recogniser) -> ClipText:
    text = recogniser.codec.text(decoded.ids).strip()
    return ClipText(
        clip_id,
        text,
        duration_s,
        decoded.n_scored,
        "empty" if decoded.ended == "end" and not text else decoded.ended,
        decoded.mean_logprob,
        decoded.language or None,
    )
