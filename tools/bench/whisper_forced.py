"""Shared by the benchmarks of Whisper's decoding: the forced length of a window, and timing in turn."""

from __future__ import annotations

import statistics
from typing import Any

import torch
from torch import Tensor

from k2d.decode.options import Options
from k2d.models.interface import Request

N_TOKENS = 150
FIRST_TIME, END = 50_364, 50_257
TIMES_S = {0: 0.0, N_TOKENS // 2 - 1: 13.2, N_TOKENS // 2: 13.2, N_TOKENS - 2: 26.7, N_TOKENS - 1: 26.7}
LABELLING = Options(batch_size=16, min_window_s=0.2)


def added(n_generated: int, n_vocabulary: int, cache: dict[int, Tensor]) -> Tensor:
    """The scores to add at a position: they force times and the end where they must be, and words elsewhere."""
    if n_generated not in cache:
        row_V = torch.full((n_vocabulary,), -torch.inf)
        if n_generated in TIMES_S:
            row_V[FIRST_TIME + round(TIMES_S[n_generated] * 50)] = 0.0
        elif n_generated >= N_TOKENS:
            row_V[END] = 0.0
        else:
            row_V[:END] = 0.0
        cache[n_generated] = row_V
    return cache[n_generated]


def force_ours(ours: Any) -> None:
    """Replace the scores after our rules have been applied, so that the rules are still timed."""
    constrain, rows = ours.constrain, dict[int, Tensor]()
    suppressed = torch.tensor(ours._rules.suppressed, device=ours.device)

    def forced(logits_RV: Tensor, generated_RL: Tensor, request: Request) -> Tensor:
        constrain(logits_RV, generated_RL, request)
        n_generated = generated_RL.shape[1]
        rows[n_generated] = added(n_generated, logits_RV.shape[1], rows).to(logits_RV.device)
        return (logits_RV + rows[n_generated]).index_fill_(1, suppressed, -torch.inf).log_softmax(-1)

    ours.constrain = forced


def report(times: dict[str, list[float]], way: str, base: str, n_windows: int) -> str:
    ratios = sorted(slow / fast for slow, fast in zip(times[base], times[way], strict=True))
    each_ms = statistics.median(times[way]) / n_windows * 1000
    return f"{way}: {each_ms:.0f} ms a window, {statistics.median(ratios):.1f}x ({ratios[0]:.1f} to {ratios[-1]:.1f})"
