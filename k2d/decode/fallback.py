"""The rules for doubtful text, which is decoded again at a higher temperature. Pure functions.

The rules are Whisper's and are used for every family. Random numbers for a window depend only on its place.
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
    """The factor by which zlib compresses a text. A high ratio is a sign of repetition.

    >>> round(compression_ratio("the same " * 40), 1), round(compression_ratio("not the same at all"), 1)
    (18.0, 0.7)
    """
    written = text.encode("utf-8")
    return len(written) / len(zlib.compress(written))


def is_doubtful(decoded: Decoded, silence: float, codec: Codec, options: Options) -> bool:
    """Whether a window must be decoded again at the next temperature."""
    # As in Whisper, silence comes first: the text of a silent window is dropped anyway.
    if is_silent(decoded, silence, options):
        return False
    if decoded.ended == "loop":
        return True
    most, least = options.compression_ratio_threshold, options.logprob_threshold
    if most is not None and compression_ratio(codec.text(decoded.ids)) > most:
        return True
    return least is not None and decoded.mean_with_end < least


def is_silent(decoded: Decoded, silence: float, options: Options) -> bool:
    """Whether the window is silent. `silence` is the model's probability of that, before the first token."""
    # Whisper's no-speech probability is often high over real speech. With a log-probability threshold, only a text that
    # the model doubts counts as silence.
    if options.silence_threshold is None or silence <= options.silence_threshold:
        return False
    return options.logprob_threshold is None or decoded.mean_with_end <= options.logprob_threshold


class Draws:
    """Random numbers in 0…1 for every window and step of a batch."""

    def __init__(self, keys: Sequence[str], temperature: float, n_steps: int) -> None:
        self.temperature = temperature
        # Each window has a generator of its own, seeded by its key. Other windows of the batch have no influence.
        seeds = [list(hashlib.sha256(f"{key} {temperature:g}".encode()).digest()) for key in keys]
        self._draws_WL = np.stack([np.random.default_rng(seed).random(n_steps) for seed in seeds])

    def tokens(self, log_probs_RV: Tensor, windows: Sequence[int], step: int) -> Tensor:
        """A token for each row, sampled by its probability at the temperature."""
        # Inverse transform sampling, so that one number per window and step decides. torch.multinomial would draw for
        # the whole batch from one generator. The last sum may differ from 1 by rounding, hence the product and clamp.
        cumulative_RV = (log_probs_RV.double() / self.temperature).softmax(-1).cumsum(-1)
        drawn_R = torch.from_numpy(self._draws_WL[list(windows), step]).to(log_probs_RV.device)
        drawn_R1 = drawn_R.unsqueeze(1) * cumulative_RV[:, -1:]
        tokens_R = torch.searchsorted(cumulative_RV, drawn_R1, right=True).squeeze(1)
        return tokens_R.clamp(max=log_probs_RV.shape[1] - 1)
