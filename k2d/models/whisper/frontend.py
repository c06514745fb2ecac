"""Computes the features of windows for Whisper in any engine: of a window alone, or as a part of its recording."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from k2d.models.interface import Memory, WindowInContext
from k2d.models.whisper.codec import WINDOW
from k2d.models.whisper.dims import N_SAMPLES, RATE_HZ, WhisperDims
from k2d.models.whisper.library import MARGIN, features, powers

HOP = 160
_N_FRAMES = N_SAMPLES // HOP


class WhisperFrontend(ABC):
    """Converts samples to the output of the encoder. A subclass runs the encoder itself."""

    window = WINDOW
    margin_s = MARGIN / RATE_HZ
    dims: WhisperDims

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @abstractmethod
    def encoded(self, features_MF: Sequence[Tensor]) -> Memory:
        """Run the encoder on whole windows."""

    def encode(self, speech_BN: Tensor) -> Memory:
        """Encode samples. Windows are padded with silence and do not depend on each other."""
        assert speech_BN.shape[1] <= N_SAMPLES, f"{speech_BN.shape[1]} samples do not fit a window"
        whole_BN = nn.functional.pad(speech_BN.to(self.device).float(), (0, N_SAMPLES - speech_BN.shape[1]))
        return self.encoded([features(powers(speech_N, self.dims.n_mels)) for speech_N in whole_BN])

    def loudest(self, speech_N: Tensor) -> float:
        """The greatest power in a stretch of speech with margins. A recording's is the maximum over its stretches."""
        if len(speech_N) < 2 * MARGIN + HOP:
            return -float("inf")
        return float(powers(speech_N.to(self.device).float(), self.dims.n_mels, is_padded=True).max())

    def encode_in_context(self, windows: Sequence[WindowInContext]) -> Memory:
        """Encode windows as `whisper.transcribe` does: it computes features of the whole recording and then cuts it."""
        return self.encoded([self.features_in_context(window) for window in windows])

    def features_in_context(self, window: WindowInContext) -> Tensor:
        """The features of one window. After the recording's end they are zeros, which differ from those of silence."""
        speech_N = window.speech_N.to(self.device).float()
        powers_MF = powers(speech_N, self.dims.n_mels, is_padded=True)
        n_frames = window.n_samples // HOP
        return nn.functional.pad(features(powers_MF[:, :n_frames], window.loudest), (0, _N_FRAMES - n_frames))
