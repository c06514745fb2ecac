"""Lightning's trainer, configured so that it only moves tensors and starts processes. K2D does everything else."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from k2d.config.training import Running
from k2d.train.lightning_parts import (
    Callback,
    ClusterEnvironment,
    LightningEnvironment,
    TensorBoardLogger,
    TorchElasticEnvironment,
    Trainer,
)
from k2d.train.records import CURVES

log = logging.getLogger("k2d")


def make_trainer(running: Running, folder: Path, ngpu: int, callbacks: list[Callback], first_step: int) -> Trainer:
    """A trainer for one phase. Only device, precision and number of processes vary."""
    logger: TensorBoardLogger | bool = False
    try:
        # After a resume, the curves after `first_step` belong to steps that are repeated.
        logger = TensorBoardLogger(folder, name="tensorboard", version="", purge_step=first_step)
    except ModuleNotFoundError:
        log.warning("no TensorBoard curves: `pip install tensorboard` for them; %s has the same numbers", CURVES)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs 3 %
    return Trainer(
        accelerator="gpu" if ngpu else "cpu",
        devices=ngpu or 1,
        precision="bf16-mixed" if running.precision == "bf16" else "32-true",
        deterministic="warn" if ngpu else True,  # CUDA's CTC has no deterministic backward pass
        max_epochs=1,
        logger=logger,
        callbacks=callbacks,
        plugins=[process_launcher()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=folder,
    )


def process_launcher() -> ClusterEnvironment:
    """The program that starts the processes of a training: torchrun if it started this one, otherwise Lightning."""
    # By default, Lightning would use the tasks of a Slurm job (SLURM_NTASKS) as its processes and start none. But K2D
    # is a single task, so only one process would train, however many GPUs were requested.
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else LightningEnvironment()


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Suppress Lightning's list of hardware, and its advice against choices that are made on purpose."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            for logger in loggers:
                logger.setLevel(logging.WARNING)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
