"""The processes that train together, from the view of one of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist

from k2d.models.interface import Recogniser
from k2d.train.batches import TrainingProcess


def this_process() -> TrainingProcess:
    """This process among the others. The only one, if no others were started."""
    return TrainingProcess(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else TrainingProcess()


def wait_for_all() -> None:
    """Wait until every process has reached this call."""
    if dist.is_initialized():
        dist.barrier()


def sum_over_processes(counts: Sequence[int], recogniser: Recogniser) -> list[int]:
    """Each count summed over all processes. Every process must make this call, or the others wait for it."""
    if not dist.is_initialized():
        return list(counts)
    counts_K = torch.tensor(counts, dtype=torch.int64, device=recogniser.device)  # NCCL reduces only on GPUs
    dist.all_reduce(counts_K)
    sums: list[int] = counts_K.tolist()
    return sums
