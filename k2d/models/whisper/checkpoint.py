"""A Whisper checkpoint in memory, whatever its format, and what is checked in all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.models.weights_file import check_weights
from k2d.models.whisper.dims import N_AUDIO_CTX, N_MELS, N_VOCABULARY, WhisperDims, shapes


@dataclass(frozen=True, slots=True)
class Generation:
    """A checkpoint's own settings for decoding. None: as in openai-whisper."""

    suppressed: tuple[int, ...] | None = None
    """Ids that the decoder never writes."""
    suppressed_first: tuple[int, ...] | None = None
    """Ids that it never writes first."""
    first_time_at_most: int | None = None
    """Largest first timestamp, in steps of the grid."""
    language: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class WhisperWeights:
    """A checkpoint in memory."""

    dims: WhisperDims
    state: Mapping[str, Tensor]
    """Under OpenAI's names, in the dtype of the file."""
    generation: Generation = Generation()


def checked(weights: WhisperWeights, where: str, config: str) -> WhisperWeights:
    check_dims(weights.dims, where)
    check_weights(weights.state, shapes(weights.dims), where, config)
    return weights


def check_dims(dims: WhisperDims, where: str) -> None:
    """Refuse sizes that no Whisper has. The error lists all faults."""
    faults = []
    if dims.n_vocab not in N_VOCABULARY:
        known = ", ".join(f"{size} ({what})" for size, what in N_VOCABULARY.items())
        faults.append(f"a vocabulary of {dims.n_vocab}, expected {known}: use a model without added tokens")
    if dims.n_mels not in N_MELS:
        faults.append(f"{dims.n_mels} mels, expected 80 or 128 (large-v3): use a model with Whisper's own features")
    if dims.n_audio_ctx != N_AUDIO_CTX:
        faults.append(f"{dims.n_audio_ctx} positions of audio, expected {N_AUDIO_CTX}: windows are 30 s")
    if min(dims.n_audio_layer, dims.n_text_layer) < 1:
        faults.append(
            f"{dims.n_audio_layer} layers in the encoder and {dims.n_text_layer} in the decoder, expected at least 1"
        )
    if dims.n_audio_state != dims.n_text_state:
        faults.append(
            f"widths {dims.n_audio_state} of the encoder and {dims.n_text_state} of the decoder, expected equal ones"
        )
    for side, width, heads in (
        ("encoder", dims.n_audio_state, dims.n_audio_head),
        ("decoder", dims.n_text_state, dims.n_text_head),
    ):
        if heads < 1 or width % heads:
            faults.append(f"{heads} heads in the {side} of width {width}, expected a divisor of the width")
    if faults:
        raise K2DError(f"{where}: {'; '.join(faults)}")


def are_ids(found: object, n_vocab: int) -> bool:
    return isinstance(found, list) and all(type(each) is int and 0 <= each < n_vocab for each in found)


def read_json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise K2DError(f"{shown(path)}: not a JSON file: {error}; copy or fetch it again") from error
    if not isinstance(read, dict):
        raise K2DError(f"{shown(path)}: expected a JSON object; copy or fetch it again")
    return read
