"""Long recordings: sequential windows that move on by the model's own timestamps, batched across recordings.

Each window of a recording starts at the place that the one before it determines. So a batch contains the next windows
of `batch_size` different recordings, each at its own place. Without conditioning on previous text, the result of a
recording does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from k2d.data.audio import AudioError
from k2d.data.rows import DecodedWindow, Hypothesis, Segment
from k2d.decode.audio_context import AudioContext
from k2d.decode.guards import WindowPlace, place_window, rounded_time
from k2d.decode.options import Options
from k2d.decode.search import Decoded, IsLoop
from k2d.decode.sources import Failed, OpenAudio, Source
from k2d.decode.whole_window_engine import window_decoder_for
from k2d.decode.window_batch import WindowDecoder, WindowInput
from k2d.models.interface import ContextRecogniser, Recogniser

OnWindow = Callable[[DecodedWindow], None]

_MAX_PROMPT_TEMPERATURE = 0.5
"""Text that was sampled at a higher temperature is not used in the next prompt, as in Whisper."""


def decode_recordings(
    recogniser: Recogniser,
    recordings: Iterable[Source],
    options: Options,
    is_loop: IsLoop | None = None,
    on_window: OnWindow | None = None,
) -> Iterator[Hypothesis | Failed]:
    """Yield each recording when it is finished. One that cannot be read does not stop the others.

    `is_loop` gets plain text and is true if the selection would find a loop. None: no window is stopped for loops.
    """
    decode = window_decoder_for(recogniser, options, is_loop)
    under_way: list[_Recording] = []
    # The longest first: its windows are decoded one after another. If it started last, the batch would contain only it
    # at the end. A recording that cannot be opened comes last and fails there with its name.
    found = [_Recording(source) for source in recordings]
    waiting = iter(sorted(found, key=lambda recording: (-recording.known_duration_s(), recording.source.id)))
    while True:
        batch, windows = [], []
        for recording in chain(under_way, waiting):
            try:
                windows.append(recording.next_window(recogniser))
                batch.append(recording)
            except AudioError as error:
                yield Failed.of(recording.source.id, error)
            if len(batch) == options.batch_size:
                break
        if not batch:
            return
        for recording, decoded in zip(batch, decode(windows), strict=True):
            recording.add(decoded, decode)
            if on_window is not None:
                on_window(recording.windows[-1])
        yield from (recording.hypothesis() for recording in batch if recording.is_over)
        under_way = [recording for recording in batch if not recording.is_over]


@dataclass(slots=True)
class _Recording:
    """A recording that is being decoded: its text so far, and the start of its next window."""

    source: Source
    audio: OpenAudio | None = None
    start_s: float = 0.0
    audio_s: float = 0.0
    segments: list[Segment] = field(default_factory=list)
    windows: list[DecodedWindow] = field(default_factory=list)
    previous_ids: tuple[int, ...] = ()
    context: AudioContext | None = None
    is_over: bool = False

    def opened(self) -> OpenAudio:
        if self.audio is None:
            self.audio = OpenAudio.of(self.source)
        return self.audio

    def known_duration_s(self) -> float:
        """The duration from the source or the file. 0 if the file cannot be opened."""
        if self.source.duration_s is not None:
            return self.source.duration_s
        try:
            return self.opened().duration_s
        except AudioError:
            return 0.0

    def next_window(self, recogniser: Recogniser) -> WindowInput:
        """Read the next window. Raises AudioError."""
        audio, window = self.opened(), recogniser.window
        self.audio_s = rounded_time(min(window.length_s, audio.duration_s - self.start_s))
        key = f"{self.source.id} {self.start_s:.3f}"
        if not isinstance(recogniser, ContextRecogniser):
            samples = audio.samples(self.start_s, self.start_s + self.audio_s, window.rate_hz)
            return WindowInput(samples, self.previous_ids, key=key)
        if self.context is None:
            self.context = AudioContext.of(audio, recogniser, window)
        in_context = self.context.window_at(self.start_s, self.audio_s)
        # The audio is read once. The window's own samples are those between the margins.
        margin = (len(in_context.speech_N) - in_context.n_samples) // 2
        samples = in_context.speech_N[margin : margin + in_context.n_samples].numpy()
        return WindowInput(samples, self.previous_ids, in_context, key)

    def add(self, decoded: Decoded, decoder: WindowDecoder) -> None:
        """Add the window's text, and move on to the next window."""
        place = WindowPlace(self.start_s, self.audio_s, decoder.options.min_advance_s)
        placed = place_window(decoded, decoder.recogniser.codec, place)
        self.segments += placed.segments
        self.windows.append(placed.window)
        self.start_s = placed.next_start_s
        self.is_over = self.opened().duration_s - self.start_s < decoder.options.min_window_s
        if decoder.options.condition_on_previous_text:
            # A loop in the prompt would cause the next loop, and randomly sampled text is no useful context.
            is_poor = decoded.ended == "loop" or decoded.temperature > _MAX_PROMPT_TEMPERATURE
            self.previous_ids = () if is_poor else placed.ids[-decoder.previous_room :]

    def hypothesis(self) -> Hypothesis:
        return Hypothesis(self.source.id, self.opened().duration_s, tuple(self.segments), tuple(self.windows))
