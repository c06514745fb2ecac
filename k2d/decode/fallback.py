"""When what was heard in a window is not to be trusted, and is drawn again at a higher temperature. Pure.

The rules are Whisper's; they hold for every family. What is drawn for a window depends on its place alone.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from k2d.decode.options import Options
from k2d.decode.search import Decoded
from k2d.models.codec import Codec


def compression_ratio(text: str) -> float:
    """How many times smaller zlib makes a text: much, if it says the same over and over.

    >>> round(compression_ratio("the same " * 40), 1), round(compression_ratio("not the same at all"), 1)
    (18.0, 0.7)
    """
    written = text.encode("utf-8")
    return len(written) / len(zlib.compress(written))


def is_doubtful(decoded: Decoded, silence: float, codec: Codec, options: Options) -> bool:
    """Whether a window is to be decoded again, at the next temperature."""
    if is_silent(decoded, silence, options):
        return False
    if decoded.ended == "loop":
        return True
    most, least = options.compression_ratio_threshold, options.logprob_threshold
    if most is not None and compression_ratio(codec.text(decoded.ids)) > most:
        return True
    return least is not None and decoded.mean_with_end < least


def is_silent(decoded: Decoded, silence: float, options: Options) -> bool:
    """Whether nobody speaks, as the model says before the first token and, if it is asked for, by its doubt in them."""
    if options.silence_threshold is None or silence <= options.silence_threshold:
        return False
    return options.logprob_threshold is None or decoded.mean_with_end <= options.logprob_threshold


class Draws:
    """Random numbers in 0…1 for every window and step of a batch: a window's own, whoever is beside it."""

    def __init__(self, keys: Sequence[str], temperature: float, n_steps: int) -> None:
        self.temperature = temperature
        self._draws_WL = np.stack([_generator(key, temperature).random(n_steps) for key in keys])

    def tokens(self, log_probs_RV: Tensor, windows: Sequence[int], step: int) -> Tensor:
        """A token for each row, drawn by its probability at the temperature."""
        at_temperature_RV = (log_probs_RV.double() / self.temperature).softmax(-1).cumsum(-1)
        drawn_R = torch.from_numpy(self._draws_WL[list(windows), step]).to(log_probs_RV.device)
        wanted_R1 = drawn_R.unsqueeze(1) * at_temperature_RV[:, -1:]
        return (
            torch.searchsorted(at_temperature_RV, wanted_R1, right=True).squeeze(1).clamp(max=log_probs_RV.shape[1] - 1)
        )


def _generator(key: str, temperature: float) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(f"{key} {temperature:g}".encode()).digest()))
