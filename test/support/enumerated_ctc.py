"""Random outputs of a CTC head, and probabilities of texts by enumeration of all paths."""

import itertools
import math
from collections.abc import Callable

import torch

from k2d.decode.ctc import collapsed

BLANK = 0


def log_probs(n_windows: int, n_frames: int, n_ids: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n_windows, n_frames, n_ids, generator=generator, dtype=torch.double)
    return logits.log_softmax(-1)


def total(log_probs_TV: torch.Tensor, is_meant: Callable[[tuple[int, ...]], bool]) -> float:
    """The probability of all paths whose text meets a condition."""
    n_frames, n_ids = log_probs_TV.shape
    paths = itertools.product(range(n_ids), repeat=n_frames)
    return sum(
        math.exp(sum(log_probs_TV[t, token].item() for t, token in enumerate(path)))
        for path in paths
        if is_meant(collapsed(list(path), BLANK))
    )
