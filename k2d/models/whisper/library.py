"""The adapter of openai-whisper, the only module that imports it: network, vocabulary, mel filters and download."""

from __future__ import annotations

import os
import urllib.error
import warnings
from pathlib import Path
from typing import Any

import torch
import whisper
from torch import Tensor, nn
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters
from whisper.tokenizer import TO_LANGUAGE_CODE, get_tokenizer

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.models.whisper.dims import PUBLISHED, WhisperDims

CACHE_VARIABLE = "K2D_WHISPER_CACHE"
MARGIN = N_FFT // 2
"""Samples on both sides of a frame's middle that it hears."""
_TOO_QUIET = 1e-10
_RANGE = 8.0  # decades below the loudest that are still told apart


def build_network(dims: WhisperDims) -> nn.Module:
    """Encoder and decoder with random weights."""
    network: nn.Module = whisper.model.Whisper(whisper.model.ModelDimensions(**dims.as_dict()))
    del network.alignment_heads  # a sparse tensor for word times, which cannot be shared between processes
    return network


def vocabulary(dims: WhisperDims) -> Any:
    """The tokenizer of a model of these sizes."""
    return get_tokenizer(dims.is_multilingual, num_languages=dims.n_languages, language=None, task="transcribe")


def language_code(name: str) -> str:
    """`zh` for `Chinese`, `chinese` or `zh`; an unknown name is returned as it is."""
    return str(TO_LANGUAGE_CODE.get(name.lower(), name.lower()))


# --- features ---


def powers(speech_N: Tensor, n_mels: int, *, is_padded: bool = False) -> Tensor:
    """Decadic logarithms of the power in each mel band, a frame every 10 ms: powers_MF.

    `is_padded`: the speech has `MARGIN` samples more on both sides, which have no frames of their own.
    """
    window = torch.hann_window(N_FFT, device=speech_N.device)
    stft = torch.stft(speech_N, N_FFT, HOP_LENGTH, window=window, center=not is_padded, return_complex=True)
    power_KF = stft[..., :-1].abs() ** 2
    filters_MK: Tensor = mel_filters(speech_N.device, n_mels)
    with torch.autocast(speech_N.device.type, enabled=False):  # a training in bf16 hears what decoding hears
        return torch.clamp(filters_MK @ power_KF, min=_TOO_QUIET).log10()


def features(powers_MF: Tensor, loudest: Tensor | float | None = None) -> Tensor:
    """The encoder's input: powers relative to the loudest one of the recording, or of these frames alone."""
    top = powers_MF.max() if loudest is None else torch.as_tensor(loudest, device=powers_MF.device)
    return (torch.maximum(powers_MF, top - _RANGE) + 4.0) / 4.0


# --- published checkpoints ---


def cache_folder(chosen: str | None = None) -> Path:
    """Where published checkpoints are kept: as the config says, or the environment, or where openai-whisper does."""
    if chosen or os.environ.get(CACHE_VARIABLE):
        return Path(chosen or os.environ[CACHE_VARIABLE]).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "whisper"


def fetch(name: str, folder: Path) -> Path:
    """A published checkpoint by its name: from the folder, or downloaded into it; its checksum is looked at."""
    if name not in PUBLISHED or name not in whisper._MODELS:
        known = ", ".join(PUBLISHED)
        raise K2DError(f"{name}: no published Whisper model has this name; expected one of {known}, a .pt or a folder")
    url = whisper._MODELS[name]
    file = folder / Path(url).name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a file with a wrong checksum is fetched again
            return Path(whisper._download(url, str(folder), in_memory=False))
    except (urllib.error.URLError, OSError) as error:
        reason = f"it is not in {shown(folder)} and cannot be fetched ({getattr(error, 'reason', None) or error})"
    except RuntimeError as error:  # of openai-whisper: the checksum
        reason = str(error)
    file.unlink(missing_ok=True) if file.is_file() and not file.stat().st_size else None
    raise K2DError(
        f"Whisper {name}: {reason}; fetch {url} where there is a network, put it there as {file.name} (or set "
        f"{CACHE_VARIABLE}, or give the path of the file as the checkpoint)"
    )
