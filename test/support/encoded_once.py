"""Whispers in torch that encode each window once, however often the tests decode it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from k2d.models.interface import Memory


def encoding_once(model: Any) -> Any:
    """K2D's recogniser. On a CPU it encodes one window at a time in any case."""
    encode_windows = model.encoded
    encode = _remembered(lambda features_MF: encode_windows([features_MF]).states_BTD)

    def encoded(features_MF: Sequence[Tensor]) -> Memory:
        return Memory(torch.cat([encode(each) for each in features_MF]))

    model.encoded = encoded
    return model


def openai_encoding_once(network: Any) -> Any:
    """openai-whisper's network, with a memory of its own."""
    network.encoder.forward = _remembered(network.encoder.forward)
    return network


def _remembered(encode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The function, called once for equal tensors."""
    found: dict[bytes, Tensor] = {}

    def encoded(features: Tensor) -> Tensor:
        key = features.numpy().tobytes()
        if key not in found:
            found[key] = encode(features)
        return found[key]

    return encoded
