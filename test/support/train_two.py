"""Trains tiny real recognisers alone and in two processes that share each batch.

One Python imports everything and is then split in three, as the imports take seconds: the ranks of a pair,
and a process that trains alone. Each goes through all cases and writes what came of them to `alone.pt` or `rank-N.pt`:
for each case the weights after two steps, or the error.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import torch
import torch.distributed as dist
from train_cases import CASES
from train_families import Families

from k2d.core.stamp import Recipe
from k2d.train import engine
from k2d.train import trainer as k2d_trainer
from k2d.train.engine import Setting

_HANGS_AFTER = timedelta(seconds=120)


def main(folder: str) -> int:
    torch.set_num_threads(1)
    families = Families(Path(folder))
    pids = []
    for rank in range(2):
        if (pid := os.fork()) == 0:
            os._exit(carry_out(families, Path(folder), rank))
        pids.append(pid)
    carry_out(families, Path(folder), None)
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids)


def carry_out(families: Families, folder: Path, rank: int | None) -> int:
    """Train all cases, alone (rank None) or as one of two."""
    logging.getLogger("k2d").setLevel(logging.ERROR)
    if rank is not None:
        os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE="2", MASTER_ADDR="127.0.0.1")
    engine.rank_zero_only.rank = rank or 0
    trainer = k2d_trainer.Trainer

    def on_cpu(**options: object) -> k2d_trainer.Trainer:
        shared = {"devices": 1} if rank is None else {"devices": 2, "strategy": "ddp"}
        return trainer(**{**options, **shared, "logger": False})

    found = {}
    with patch.object(k2d_trainer, "Trainer", on_cpu):
        for name in CASES:
            found[name] = one(families, name, folder, rank)
    torch.save(found, folder / ("alone.pt" if rank is None else f"rank-{rank}.pt"))
    return 0


def one(families: Families, name: str, folder: Path, rank: int | None) -> dict[str, object]:
    """The weights before and after the case's steps, or the error."""
    recogniser, phase = families.made(CASES[name])
    before = {key: value.clone() for key, value in recogniser.network.state_dict().items()}
    setting = Setting(folder / ("work-alone" if rank is None else "work-pair") / name, seed=5, n_workers=0)
    if rank is not None:
        store = f"file://{folder}/store-{name}"
        dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=_HANGS_AFTER)
    try:
        engine.train(recogniser, [phase], families.running, setting, recipe=Recipe("case", 1, {"name": name}, {}))
    except Exception as error:  # what is looked for: it is read by the test
        return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return {"before": before, "weights": recogniser.network.state_dict()}
