"""Windows with the audio around them, for recognisers whose features depend on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from k2d.data.audio import MIN_DURATION_S
from k2d.data.audio.decoders import Samples
from k2d.decode.sources import OpenAudio
from k2d.models.interface import ContextRecogniser, Window, WindowInContext

_BLOCK_S = 30.0


@dataclass(frozen=True, slots=True)
class AudioContext:
    """A recording for such a recogniser. It is read once in full to find its loudest place."""

    audio: OpenAudio
    window: Window
    margin_s: float
    loudest: float = math.nan

    @classmethod
    def of(cls, audio: OpenAudio, recogniser: ContextRecogniser, window: Window) -> AudioContext:
        around = cls(audio, window, recogniser.margin_s)
        end_s = audio.duration_s + recogniser.margin_s  # the last samples also affect frames after the recording's end
        starts = [n * _BLOCK_S for n in range(math.ceil(end_s / _BLOCK_S))]
        blocks = (around.samples(start_s, min(_BLOCK_S, end_s - start_s)) for start_s in starts)
        loudest = max(recogniser.loudest(torch.from_numpy(block)) for block in blocks)
        return cls(audio, window, recogniser.margin_s, loudest)

    def samples(self, start_s: float, length_s: float) -> Samples:
        """A stretch with its margins: mirrored before the recording's start, silent after its end."""
        rate_hz, margin = self.window.rate_hz, round(self.margin_s * self.window.rate_hz)
        size = round(length_s * rate_hz) + 2 * margin
        found = self._read_existing(max(0.0, start_s - self.margin_s), start_s + length_s + self.margin_s)
        if start_s < self.margin_s:
            found = np.pad(found, (margin - round(start_s * rate_hz), 0), mode="reflect") if len(found) > 1 else found
        return np.pad(found, (0, max(0, size - len(found))))[:size]

    def _read_existing(self, start_s: float, end_s: float) -> Samples:
        """The samples of a stretch that lie within the recording."""
        rate_hz, end_s = self.window.rate_hz, min(end_s, self.audio.duration_s)
        if start_s >= end_s:
            return np.zeros(0, np.float32)
        # The reader refuses stretches shorter than MIN_DURATION_S, so more is read and the rest is cut off.
        begin_s = max(0.0, min(start_s, end_s - MIN_DURATION_S))
        return self.audio.samples(begin_s, end_s, rate_hz)[round((start_s - begin_s) * rate_hz) :]

    def window_at(self, start_s: float, length_s: float) -> WindowInContext:
        speech = torch.from_numpy(self.samples(start_s, length_s))
        return WindowInContext(speech, round(length_s * self.window.rate_hz), self.loudest)
