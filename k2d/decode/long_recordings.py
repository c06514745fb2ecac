"""Long recordings: sequential windows that move by the model's own timestamps, those of many recordings as one batch.

A recording's windows depend on each other, so at any moment `batch_size` recordings are under way, each at its own
place. Without conditioning on previous text the result of one does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from k2d.data.audio import AudioError
from k2d.data.rows import DecodedWindow, Hypothesis, Segment
from k2d.decode.audio_context import Surroundings
from k2d.decode.guards import Place, heard, tidy
from k2d.decode.options import Options
from k2d.decode.search import Decoded, IsLoop
from k2d.decode.sources import Failed, OpenAudio, Source
from k2d.decode.whole_window_engine import hearing_of
from k2d.decode.window_batch import Hearing, Look
from k2d.models.interface import Recogniser, SituatedRecogniser

OnWindow = Callable[[DecodedWindow], None]

_SURE_UP_TO = 0.5
"""Text of a higher temperature does not go into the next prompt, as in Whisper."""


def decode_recordings(
    recogniser: Recogniser,
    recordings: Iterable[Source],
    options: Options,
    is_loop: IsLoop | None = None,
    on_window: OnWindow | None = None,
) -> Iterator[Hypothesis | Failed]:
    """Yield each recording as it is finished, the longest begun first; one that cannot be read does not stop others.

    `is_loop` gets plain text and tells whether the selection would call it a loop; None: no window is stopped.
    """
    hearing = hearing_of(recogniser, options, is_loop)
    under_way: list[_Walk] = []
    waiting = iter(_longest_first(recordings))
    while True:
        walks, looks = [], []
        for walk in chain(under_way, waiting):
            try:
                looks.append(walk.look(recogniser))
                walks.append(walk)
            except AudioError as error:
                yield Failed.of(walk.source.id, error)
            if len(walks) == options.batch_size:
                break
        if not walks:
            return
        for walk, decoded in zip(walks, hearing(looks), strict=True):
            walk.take(decoded, hearing)
            if on_window is not None:
                on_window(walk.windows[-1])
        yield from (walk.hypothesis() for walk in walks if walk.is_over)
        under_way = [walk for walk in walks if not walk.is_over]


@dataclass(slots=True)
class _Walk:
    """A recording on its way: what was heard of it, and where its next window starts."""

    source: Source
    audio: OpenAudio | None = None
    start_s: float = 0.0
    audio_s: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    windows: list[DecodedWindow] = field(default_factory=list)
    previous_ids: tuple[int, ...] = ()
    surroundings: Surroundings | None = None
    is_over: bool = False

    def opened(self) -> OpenAudio:
        if self.audio is None:
            self.audio = OpenAudio.of(self.source)
        return self.audio

    def look(self, recogniser: Recogniser) -> Look:
        """Read the next window; raises AudioError."""
        audio, window = self.opened(), recogniser.window
        self.audio_s = tidy(min(window.length_s, audio.duration_s - self.start_s))
        key = f"{self.source.id} {self.start_s:.3f}"
        if not isinstance(recogniser, SituatedRecogniser):
            samples = audio.samples(self.start_s, self.start_s + self.audio_s, window.rate_hz)
            return Look(samples, self.previous_ids, key=key)
        if self.surroundings is None:
            self.surroundings = Surroundings.of(audio, recogniser, window)
        situated = self.surroundings.situated(self.start_s, self.audio_s)
        margin = (len(situated.speech_N) - situated.n_samples) // 2
        samples = situated.speech_N[margin : margin + situated.n_samples].numpy()
        return Look(samples, self.previous_ids, situated, key)

    def take(self, decoded: Decoded, hearing: Hearing) -> None:
        """Add what was heard in the window, and move on."""
        place = Place(self.start_s, self.audio_s, hearing.options.min_advance_s)
        found = heard(decoded, hearing.recogniser.codec, place)
        self.segments += found.segments
        self.windows.append(found.window)
        self.start_s = found.next_start_s
        self.is_over = self.opened().duration_s - self.start_s < hearing.options.min_window_s
        if hearing.options.condition_on_previous_text:
            # A loop in the prompt would call forth the next one; what was drawn at random is no context.
            is_poor = decoded.ended == "loop" or decoded.temperature > _SURE_UP_TO
            self.previous_ids = () if is_poor else found.ids[-hearing.previous_room :]

    def hypothesis(self) -> Hypothesis:
        return Hypothesis(self.source.id, self.opened().duration_s, tuple(self.segments), tuple(self.windows))


def _longest_first(recordings: Iterable[Source]) -> list[_Walk]:
    """By duration, then id. One that cannot be opened comes last, where it fails by name."""
    walks = [_Walk(source) for source in recordings]
    return sorted(walks, key=lambda walk: (-_duration_s(walk), walk.source.id))


def _duration_s(walk: _Walk) -> float:
    if walk.source.duration_s is not None:
        return walk.source.duration_s
    try:
        return walk.opened().duration_s
    except AudioError:
        return 0.0
