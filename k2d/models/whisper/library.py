"""The adapter of openai-whisper: network, vocabulary and mel filters. No other module imports that library."""

from __future__ import annotations

from typing import Any

import torch
import whisper
from torch import Tensor, nn
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters
from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE, get_tokenizer

from k2d.models.whisper.dims import WhisperDims

MARGIN = N_FFT // 2
"""Samples on each side of a frame's middle that are part of it."""
_TOO_QUIET = 1e-10
_RANGE = 8.0  # decades: lower powers are raised to this distance from the highest one


def build_network(dims: WhisperDims) -> nn.Module:
    """Encoder and decoder with random weights."""
    network: nn.Module = whisper.model.Whisper(whisper.model.ModelDimensions(**dims.as_dict()))
    del network.alignment_heads  # a sparse tensor for word times: processes cannot share it
    return network


def vocabulary(dims: WhisperDims) -> Any:
    """The tokenizer of a model of these sizes."""
    return get_tokenizer(dims.is_multilingual, num_languages=dims.n_languages, language=None, task="transcribe")


def language_code(name: str) -> str:
    """`zh` for `Chinese`, `chinese` or `zh`. An unknown name is returned in lower case."""
    return str(TO_LANGUAGE_CODE.get(name.lower(), name.lower()))


def is_language(name: str) -> bool:
    """Whether Whisper has a token for a language, by its code or its name."""
    return language_code(name) in LANGUAGES


# --- features ---


def powers(speech_N: Tensor, n_mels: int, *, is_padded: bool = False) -> Tensor:
    """Logarithms to base 10 of the power in each mel band, with a frame every 10 ms: powers_MF.

    `is_padded`: the speech has `MARGIN` more samples on each side, for which there are no frames.
    """
    window = torch.hann_window(N_FFT, device=speech_N.device)
    stft = torch.stft(speech_N, N_FFT, HOP_LENGTH, window=window, center=not is_padded, return_complex=True)
    power_KF = stft[..., :-1].abs() ** 2
    filters_MK: Tensor = mel_filters(speech_N.device, n_mels)
    with torch.autocast(speech_N.device.type, enabled=False):  # training in bf16 uses the same features as decoding
        return torch.clamp(filters_MK @ power_KF, min=_TOO_QUIET).log10()


def features(powers_MF: Tensor, loudest: Tensor | float | None = None) -> Tensor:
    """The encoder's input: powers relative to the greatest one of the recording, or of these frames alone."""
    top = powers_MF.max() if loudest is None else torch.as_tensor(loudest, device=powers_MF.device)
    return (torch.maximum(powers_MF, top - _RANGE) + 4.0) / 4.0
