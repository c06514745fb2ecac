"""Run a whole training: phase by phase, resumed where it was stopped, with the best checkpoints averaged."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.utils.data import Dataset

from k2d.config.training import Running, Steps
from k2d.core.ddp_children import is_first
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import shown
from k2d.core.stamp import Recipe
from k2d.models.interface import Part, Trainable
from k2d.train.batches import Batch, StepLoader, TrainingProcess
from k2d.train.callbacks import Bookkeeping, SavePoints
from k2d.train.checkpoints import VERSION, Checkpoints, refuse_another
from k2d.train.keys import StepKey
from k2d.train.learner import Learner, Objective
from k2d.train.lightning_parts import LightningEnvironment, rank_zero_only
from k2d.train.processes import wait_for_all
from k2d.train.ranks import watching_ranks
from k2d.train.records import CURVES, Curves, PhaseRecord, TrainingRecord, is_undertrained
from k2d.train.sharing import check_batch
from k2d.train.trainable import Train, learning_parts, let_learn, names_of, set_modes
from k2d.train.trainer import make_trainer, quiet_lightning

log = logging.getLogger("k2d")

Measure = Callable[[Trainable], float]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a training runs. Only `seed` affects the result."""

    folder: Path
    """For checkpoints, curves and record. It is kept until the model is finished, so that a training can be resumed."""
    seed: int
    ngpu: int = 0
    n_workers: int = 1
    """The number of processes that prepare data. 0: the training process does it itself."""

    @property
    def n_processes(self) -> int:
        """The number of processes that train together: one for each GPU, or one on the CPU."""
        return max(1, self.ngpu)


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """A phase in the form for the engine."""

    name: str
    steps: Steps
    train: Train
    objective: Objective
    batches: Callable[[TrainingProcess, int], Dataset[list[Batch]]]
    """The data of one process from a first step on. Item `step` has that step's batches."""
    measured: frozenset[int] = frozenset()
    """The numbers of steps after which the error rate is measured."""
    begin: Callable[[], None] | None = None
    """Changes the network before the first step."""

    @property
    def learning(self) -> set[Part]:
        """The parts of the network that are trained."""
        return learning_parts(self.train, self.objective.reach)


def train(
    recogniser: Trainable,
    phases: Sequence[PhasePlan],
    running: Running,
    setting: Setting,
    *,
    recipe: Recipe,
    measure: Measure | None = None,
) -> TrainingRecord:
    """Train from the recogniser's weights, or from the last checkpoint in the folder. The result is ready for decoding.

    `measure` gives the error rate of free-running decoding on development data, which chooses the best checkpoints.
    `recipe` is everything that determines the result, as in the model's stamp. A checkpoint of another recipe is
    refused.
    """
    if setting.n_processes > 1:
        # Each process would skip other layers, and wait for gradients that are never computed.
        if recogniser.skips_layers and any("encoder" in phase.learning for phase in phases):
            raise UsageError(
                "the encoder leaves out layers at random while it learns (layer_drop_rate or stochastic_depth_rate in "
                "the model's config), which several processes cannot do together; set the rate to 0, or train on one "
                "GPU"
            )
        for phase in phases:
            check_batch(f"phase {phase.name}", phase.steps.batch_size, phase.steps.accumulate, setting.n_processes)
    if is_first(os.environ):
        LightningEnvironment().set_global_rank(0)  # Lightning takes the number of a Slurm task (SLURM_PROCID) for it
    with watching_ranks():
        return _TrainingRun(recogniser, phases, running, setting, recipe, measure).run()


class _TrainingRun:
    """Everything in a training except its steps, which `Learner` makes.

    On several GPUs, every process runs this class. Only rank 0 writes files (`rank_zero_only`). Collective operations,
    such as measuring and barriers, must be reached by every process in the same order.
    """

    def __init__(
        self,
        recogniser: Trainable,
        phases: Sequence[PhasePlan],
        running: Running,
        setting: Setting,
        recipe: Recipe,
        measure: Measure | None,
    ) -> None:
        self._recogniser, self._phases, self._running = recogniser, phases, running
        self._setting, self._recipe, self._measure = setting, recipe, measure
        terms = dict.fromkeys(name for phase in phases for name in phase.objective.weights)
        self._curves = Curves(setting.folder / CURVES, ["loss", *terms, "gradient_norm", "lr"])
        self._checkpoints = Checkpoints(setting.folder / "checkpoints", running.average_best)
        learnt: set[Part] = set().union(*(phase.learning for phase in phases))
        self._saved_names = names_of(recogniser, learnt)  # weights that no phase changes are not saved
        self._record = TrainingRecord()

    def run(self) -> TrainingRecord:
        # A checkpoint holds weights, optimiser, phase and step, and no random state: samples, dropout and SpecAugment
        # are functions of (seed, phase, step). So a resumed training gives the weights of one that was never stopped.
        state = self._checkpoints.latest()
        at_phase, at_step = self._restore(state) if state else (0, 0)
        self._start_curves(self._steps_before(at_phase) + at_step)
        for number in range(at_phase, len(self._phases)):
            first = at_step if number == at_phase else 0
            if first < self._phases[number].steps.steps:
                # A new phase has another set of trained weights, and starts with a new optimiser.
                self._fit(number, first, state["optimizer"] if state and first else None)
        wait_for_all()  # until rank 0 has written the last checkpoint, which every rank reads
        self._load_best()
        self._write_record()
        wait_for_all()  # until every rank has read the checkpoints: afterwards rank 0's caller removes the folder
        if dist.is_initialized():
            # Lightning keeps the process group for the life of the process, but the next training starts its own.
            dist.destroy_process_group()
        return self._record

    def _steps_before(self, number: int) -> int:
        """The number of steps in the phases before this one."""
        return sum(phase.steps.steps for phase in self._phases[:number])

    @rank_zero_only
    def _start_curves(self, total_step: int) -> None:
        self._setting.folder.mkdir(parents=True, exist_ok=True)
        self._curves.resume(total_step)

    @rank_zero_only
    def _write_record(self) -> None:
        self._record.write(self._setting.folder)

    def _fit(self, number: int, first: int, optimizer_state: dict[str, Any] | None) -> None:
        """Run one phase, starting at step `first`."""
        phase, setting = self._phases[number], self._setting
        if phase.begin is not None and first == 0:
            phase.begin()
        # Freeze before Lightning wraps the network: DDP waits in each backward pass for the gradient of every weight
        # that requires one at that time.
        let_learn(self._recogniser, phase.learning, phase.objective.reach.n_decoder_layers)
        set_modes(self._recogniser, phase.learning)
        key = StepKey(setting.seed, number, first)
        learner = Learner(self._recogniser.network, phase.objective, phase.steps, self._running, key)
        learner.resume_from = optimizer_state
        learner.skips_layers = self._recogniser.skips_layers and "encoder" in phase.learning
        learner.make_loader = lambda process: StepLoader(
            phase.batches(process, first), first, phase.steps.steps, setting.n_workers
        )
        record = self._record.phases.setdefault(phase.name, PhaseRecord())
        n_before = self._steps_before(number)
        bookkeeping = Bookkeeping(phase.name, n_before, record, self._curves)
        # A checkpoint without an error rate cannot be chosen. It only serves a resume, as those of `every` do.
        measured = phase.measured if self._measure is not None else frozenset()
        save_points = SavePoints(
            bookkeeping,
            measured | {phase.steps.steps},
            self._running.checkpoint_every_steps,
            lambda learner: self._measure_and_save(number, learner),
        )
        callbacks = [bookkeeping, save_points]  # in this order: a step's curves are written before its checkpoint
        with quiet_lightning():
            make_trainer(self._running, setting.folder, setting.ngpu, callbacks, n_before + first).fit(learner)

    # --- between steps ---

    def _measure_and_save(self, number: int, learner: Learner) -> None:
        """Measure the error rate if this step asks for it, and write a checkpoint."""
        phase = self._phases[number]
        total = self._steps_before(number) + learner.step
        error_rate = None
        if self._measure is not None and learner.step in phase.measured:
            set_modes(self._recogniser, set())
            with torch.no_grad():
                error_rate = self._record.error_rates[total] = self._measure(self._recogniser)
            set_modes(self._recogniser, phase.learning)
            log.info("%s, step %d: error rate %.2f %%", phase.name, learner.step, 100 * error_rate)
        self._save(number, learner, error_rate)

    @rank_zero_only
    def _save(self, number: int, learner: Learner, error_rate: float | None) -> None:
        weights = self._recogniser.network.state_dict()
        state = {
            "version": VERSION,
            "recipe": json.dumps(asdict(self._recipe)),
            "phase": number,
            "step": learner.step,
            "network": {name: weights[name] for name in self._saved_names},
            "optimizer": learner.optimizer().state_dict(),
            "record": self._record.as_state(),
        }
        # Curves first: a resume removes lines after the checkpoint's step, but could not restore missing ones.
        self._curves.flush()
        total = self._steps_before(number) + learner.step
        self._checkpoints.save(state, step=total, phase=self._phases[number].name, error_rate=error_rate)

    def _restore(self, state: Mapping[str, Any]) -> tuple[int, int]:
        """Load a checkpoint. Returns the phase and the step from which to continue."""
        refuse_another(state, self._recipe, self._setting.folder)
        self._load(state["network"])
        self._record = TrainingRecord.from_state(state["record"])
        total = self._steps_before(state["phase"]) + state["step"]
        self._record.resumed_after.append(total)
        log.info("%s: continuing after step %d", shown(self._setting.folder), total)
        return state["phase"], state["step"]

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        odd = sorted(set(weights) ^ set(self._saved_names))
        if odd:
            raise K2DError(f"{shown(self._setting.folder)}: checkpoint of another network (it differs in {odd[:5]})")
        self._recogniser.network.load_state_dict(weights, strict=False)  # weights that are never trained are missing

    # --- the end ---

    def _load_best(self) -> None:
        """Load the mean of the last phase's best checkpoints, or the best one alone if that is better."""
        set_modes(self._recogniser, set())
        let_learn(self._recogniser, set())
        n_steps, record = self._steps_before(len(self._phases)), self._record
        record.undertrained = is_undertrained(record.error_rates, n_steps)
        best = self._checkpoints.best(self._phases[-1].name)
        if not best or self._measure is None:
            record.chosen_steps = [n_steps]
            return
        weights = [self._checkpoints.load(seal)["network"] for seal in best]
        record.chosen_steps, record.final_error_rate = [seal.step for seal in best], best[0].error_rate
        if len(best) > 1:
            # Lightning has moved the network back to the CPU, and measuring decodes.
            self._recogniser.network.to("cuda" if self._setting.ngpu else "cpu")
            self._load(mean_of(weights))
            # Averaged weights may be worse than the models' averaged outputs, so the mean is measured, too.
            averaged = self._measure(self._recogniser)
            if best[0].error_rate is None or averaged <= best[0].error_rate:
                record.final_error_rate = averaged
                return
        record.chosen_steps = [best[0].step]
        self._load(weights[0])


def mean_of(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several states; integers, such as BatchNorm's counters, are taken from the first."""
    first = weights[0]
    return {
        name: torch.stack([each[name] for each in weights]).mean(0) if value.is_floating_point() else value
        for name, value in first.items()
    }
