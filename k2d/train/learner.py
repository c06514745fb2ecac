"""One training step in full: forward, the terms of the loss, backward, clip, update. For every objective."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from k2d.config.training import Running, Steps
from k2d.core.errors import K2DError
from k2d.train.batches import Batch, StepLoader, TrainingProcess, singles
from k2d.train.keys import StepKey
from k2d.train.lightning_parts import LightningModule, LightningOptimizer
from k2d.train.schedule import learning_rate
from k2d.train.trainable import Reach


class Objective(Protocol):
    """The loss: terms that are sums over tokens, and the weight of each."""

    weights: Mapping[str, float]
    reach: Reach
    """The parts that the terms depend on. Nothing else is trained."""

    def counts(self, batch: Batch) -> dict[str, int]:
        """The number of tokens that each term sums over in this part of a step. 0 in all parts: the term is a sum."""
        ...

    def sums(self, batch: Batch) -> dict[str, Tensor]: ...


class Diverged(K2DError):
    """The loss or its gradient is no longer finite."""


class Learner(LightningModule):
    """A phase of a training. `step` counts the finished steps of the phase, including those before a resume."""

    def __init__(self, network: nn.Module, objective: Objective, steps: Steps, running: Running, key: StepKey) -> None:
        super().__init__()
        self.automatic_optimization = False  # `training_step` does everything; Lightning runs no backward or optimiser
        self.network, self.objective = network, objective
        self._steps, self._running, self._key = steps, running, key
        self.step = key.step
        self.values: dict[str, float] = {}
        """The numbers of the last step: each term per token, loss, gradient_norm, lr."""
        self.resume_from: dict[str, Any] | None = None
        """The optimiser's state, if the phase is resumed."""
        self.make_loader: Callable[[TrainingProcess], StepLoader] | None = None
        self.skips_layers = False
        """Whether trained layers are skipped at random."""

    def train_dataloader(self) -> StepLoader:
        assert self.make_loader is not None
        return self.make_loader(TrainingProcess(self.global_rank, self.trainer.world_size))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        learning = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            learning, lr=self._steps.lr, weight_decay=self._running.weight_decay, betas=(0.9, 0.98), fused=True
        )
        if self.resume_from is not None:
            optimizer.load_state_dict(self.resume_from)
        return optimizer

    def optimizer(self) -> LightningOptimizer:
        made = self.optimizers()
        assert isinstance(made, LightningOptimizer)
        return made

    def training_step(self, parts: list[Batch], _index: int) -> None:
        StepKey(self._key.seed, self._key.phase, self.step).set_global(self.global_rank)
        weights_K = torch.tensor(list(self.objective.weights.values()), device=self.device)
        counts_K = self._over_all_processes(self._counts(parts)).clamp(min=1)
        sums_K = torch.zeros_like(weights_K)
        for number, part in enumerate(parts):
            terms = self.objective.sums(part)
            part_K = torch.stack([terms[name] for name in self.objective.weights])
            # The loss is the mean over the tokens of the whole step, over all parts and processes. DDP averages the
            # gradients of the processes, and the factor turns that average into the sum that is needed.
            self.manual_backward((weights_K * part_K / counts_K).sum() * self.trainer.world_size)
            sums_K += part_K.detach()
            if self.step == self._key.step and number == 0:
                self._check_reach()
        means_K = self._over_all_processes(sums_K) / counts_K
        learning = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        norm = nn.utils.clip_grad_norm_(learning, self._running.gradient_clip)
        self._note(torch.cat([means_K, (weights_K * means_K).sum()[None], norm.detach()[None]]), parts)
        self._update()

    def _check_reach(self) -> None:
        """Raise if a trained weight got no gradient in the first pass, because DDP's processes would wait for it."""
        if self.skips_layers:
            return
        named = self.network.named_parameters()
        without = [name for name, parameter in named if parameter.requires_grad and parameter.grad is None]
        if without:
            more = f" and {len(without) - 3} more" if len(without) > 3 else ""
            raise K2DError(
                f"step {self.step + 1}: {', '.join(without[:3])}{more} should learn, but the loss does not depend on "
                f"them; take them out of what {type(self.objective).__name__} says that it reaches (Reach in "
                "k2d/train/trainable.py), so that they are frozen"
            )

    def _update(self) -> None:
        optimizer = self.optimizer()
        for group in optimizer.param_groups:
            group["lr"] = self.values["lr"]
        optimizer.step()
        optimizer.zero_grad()
        self.step += 1

    def _note(self, numbers: Tensor, parts: list[Batch]) -> None:
        """Copy the step's numbers from the device in one transfer, and check them before the weights are updated."""
        names = [*self.objective.weights, "loss", "gradient_norm"]
        self.values = dict(zip(names, numbers.tolist(), strict=True))
        self.values["lr"] = learning_rate(self._steps, self.step)
        bad = [name for name in names if not math.isfinite(self.values[name])]
        if bad:
            raise Diverged(
                f"step {self.step + 1}: {', '.join(bad)} no longer finite; {self._culprits(parts)}; look at these "
                "utterances (CTC is infinite where a text is too long for its audio), or lower lr or gradient_clip; "
                "the last checkpoint is from before"
            )

    @torch.no_grad()
    def _culprits(self, parts: list[Batch]) -> str:
        """Name the samples whose own loss is not finite, or the whole batch if there is none."""
        alone = [batch for part in parts if part.kept_as is None for batch in singles(part)]
        guilty = [b.ids[0] for b in alone if not all(bool(t.isfinite()) for t in self.objective.sums(b).values())]
        return f"samples {', '.join(guilty)}" if guilty else f"batch {', '.join(i for part in parts for i in part.ids)}"

    def _counts(self, parts: list[Batch]) -> Tensor:
        counts = [self.objective.counts(part) for part in parts]
        summed = [sum(count[name] for count in counts) for name in self.objective.weights]
        return torch.tensor(summed, device=self.device, dtype=torch.float32)

    def _over_all_processes(self, values_K: Tensor) -> Tensor:
        summed = self.trainer.strategy.reduce(values_K, reduce_op="sum")
        assert isinstance(summed, Tensor)
        return summed
