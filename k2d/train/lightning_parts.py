"""The adapter of Lightning, the only module that imports it: the parts that a training uses."""

from __future__ import annotations

from importlib.metadata import version

from k2d.core.stand_ins import empty_module, standing_in


class _NoMetric:
    """In place of torchmetrics' classes: Lightning asks whether what a training logs is one. Ours logs none."""


# torchmetrics imports transformers and scipy.signal for metrics of texts and sounds: half of Lightning's import.
with standing_in(
    {
        "torchmetrics": empty_module(
            "torchmetrics", Metric=_NoMetric, MetricCollection=_NoMetric, __version__=version("torchmetrics")
        )
    }
):
    from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from lightning.fabric.plugins.environments.lightning import LightningEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.core.optimizer import LightningOptimizer
    from lightning.pytorch.loggers import TensorBoardLogger
    from lightning.pytorch.strategies.launchers import subprocess_script
    from lightning.pytorch.utilities import rank_zero_only

__all__ = [
    "Callback",
    "ClusterEnvironment",
    "LightningEnvironment",
    "LightningModule",
    "LightningOptimizer",
    "TensorBoardLogger",
    "TorchElasticEnvironment",
    "Trainer",
    "rank_zero_only",
    "subprocess_script",
]
