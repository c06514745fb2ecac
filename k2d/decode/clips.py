"""Short stretches, each one window: plain text without timestamps. For second opinions and segmented test sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from k2d.data.audio import AudioError
from k2d.decode.options import Options
from k2d.decode.search import Decoded, IsLoop
from k2d.decode.sources import Clip, Failed, OpenAudio
from k2d.decode.whole_window_engine import hearing_of
from k2d.decode.window_batch import Hearing, Look
from k2d.models.interface import Recogniser

# Clips are read ahead by this many batches, to decode those of like length together.
_BATCHES_AHEAD = 8


@dataclass(frozen=True, slots=True)
class ClipText:
    """What was heard in a clip."""

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
    """Yield the text of each clip, in their order; a clip that cannot be read is a Failed in its place.

    `on_clip` is told of each as soon as its batch is decoded, before its turn has come.
    """
    hearing = hearing_of(recogniser, replace(options, timestamps=False), is_loop)
    remaining = iter(clips)
    while pool := list(islice(remaining, options.batch_size * _BATCHES_AHEAD)):
        found: dict[int, ClipText | Failed] = {}
        looks: dict[int, Look] = {}
        for place, clip in enumerate(pool):
            read = _read(clip, recogniser)
            if isinstance(read, Failed):
                found[place] = read
            else:
                looks[place] = read
        for place, decoded in _decoded(hearing, looks):
            duration_s = len(looks[place].samples) / recogniser.window.rate_hz
            found[place] = _clip_text(pool[place].id, duration_s, decoded, recogniser)
            on_clip(pool[place])
        yield from (found[place] for place in range(len(pool)))


def _read(clip: Clip, recogniser: Recogniser) -> Look | Failed:
    window = recogniser.window
    try:
        audio = OpenAudio.of(clip)
        if round(audio.duration_s * window.rate_hz) > window.n_samples:
            length = f"{audio.duration_s:.2f} s, longer than the model's window of {window.length_s:g} s"
            detail = f"{clip.audio}: the clip lasts {length}; split it, or decode it as a recording"
            return Failed(clip.id, "too_long", detail)
        return Look(audio.samples(0.0, audio.duration_s, window.rate_hz), key=clip.id)
    except AudioError as error:
        return Failed.of(clip.id, error)


def _decoded(hearing: Hearing, looks: dict[int, Look]) -> Iterator[tuple[int, Decoded]]:
    """Batches of like length, the longest first, so that too small a memory shows at once."""
    places = sorted(looks, key=lambda place: -len(looks[place].samples))
    for first in range(0, len(places), hearing.options.batch_size):
        batch = places[first : first + hearing.options.batch_size]
        yield from zip(batch, hearing([looks[place] for place in batch]), strict=True)


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
