"""The processes that train together, seen from one of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist

from k2d.models.interface import Recogniser
from k2d.train.batches import TrainingProcess


def this_process() -> TrainingProcess:
    """Which of them this is; alone without others."""
    return TrainingProcess(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else TrainingProcess()


def summed_with_others(counts: Sequence[int], recogniser: Recogniser) -> list[int]:
    """Each count summed over all processes, which must all ask. The counts travel where the recogniser is."""
    if not dist.is_initialized():
        return list(counts)
    counts_K = torch.tensor(counts, dtype=torch.int64, device=recogniser.device)
    dist.all_reduce(counts_K)
    sums: list[int] = counts_K.tolist()
    return sums
