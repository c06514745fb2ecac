"""A whole training: phase after phase, taken up again where it was stopped, and the best of it averaged."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import torch.distributed as dist
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import Dataset

from k2d.config.training import Running, Steps
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import shown
from k2d.core.stamp import Recipe
from k2d.models.interface import Part, Trainable
from k2d.train.batches import Batch, Share, StepLoader
from k2d.train.callbacks import Bookkeeping, Guarding
from k2d.train.checkpoints import VERSION, Checkpoints, refuse_another
from k2d.train.keys import StepKey
from k2d.train.learner import Learner, Objective
from k2d.train.ranks import watching_ranks
from k2d.train.records import CURVES, Curves, PhaseRecord, TrainingRecord, is_undertrained
from k2d.train.sharing import check_batch
from k2d.train.trainable import Train, learning_parts, let_learn, names_of, set_modes

log = logging.getLogger("k2d")

Measure = Callable[[Trainable], float]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a training is carried out. Only `seed` decides what comes of it."""

    folder: Path
    """For checkpoints, curves and record; kept until the model is finished, so that a stopped training goes on."""
    seed: int
    ngpu: int = 0
    n_workers: int = 1
    """Processes that prepare data; 0: the training's own."""

    @property
    def n_processes(self) -> int:
        """That train together."""
        return max(1, self.ngpu)


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """A phase as the engine sees it."""

    name: str
    steps: Steps
    train: Train
    objective: Objective
    batches: Callable[[Share, int], Dataset[list[Batch]]]
    """The data of one process, of which the steps from a first one on will be asked for: item `step` is that step's."""
    measured: frozenset[int] = frozenset()
    """After how many steps the error rate is measured."""
    begin: Callable[[], None] | None = None
    """What is done to the network before the first step."""

    @property
    def learning(self) -> set[Part]:
        """The parts that learn."""
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
    """Train from the recogniser's weights, or from the last checkpoint in the folder; it ends ready for inference.

    `measure` gives the error rate of free-running decoding on development data, by which the best are chosen.
    `recipe` is all that decides the result, as in the stamp of the model: a checkpoint of another one is refused.
    """
    if setting.n_processes > 1:
        _refuse_skipped_layers(recogniser, phases)
        for phase in phases:
            check_batch(f"phase {phase.name}", phase.steps.batch_size, phase.steps.accumulate, setting.n_processes)
    with watching_ranks():
        return _Course(recogniser, phases, running, setting, recipe, measure).carry_out()


class _Course:
    """A training between its steps."""

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
        self._kept_names = names_of(recogniser, learnt)  # what no phase changes is not kept
        self._record = TrainingRecord()

    def carry_out(self) -> TrainingRecord:
        state = self._checkpoints.latest()
        at_phase, at_step = self._restore(state) if state else (0, 0)
        self._start(self._before(at_phase) + at_step)
        for number in range(at_phase, len(self._phases)):
            first = at_step if number == at_phase else 0
            if first < self._phases[number].steps.steps:
                self._fit(number, first, state["optimizer"] if state and first else None)
        wait_for_all()  # the last checkpoint is there
        self._choose()
        self._write_record()
        wait_for_all()  # nobody looks at checkpoints any more
        if dist.is_initialized():
            dist.destroy_process_group()  # the next training has processes of its own
        return self._record

    def _before(self, number: int) -> int:
        """How many steps the phases before this one have."""
        return sum(phase.steps.steps for phase in self._phases[:number])

    @rank_zero_only
    def _start(self, total_step: int) -> None:
        self._setting.folder.mkdir(parents=True, exist_ok=True)
        self._curves.resume(total_step)

    @rank_zero_only
    def _write_record(self) -> None:
        self._record.write(self._setting.folder)

    def _fit(self, number: int, first: int, optimizer_state: dict[str, Any] | None) -> None:
        """Carry out one phase from a step on."""
        phase, setting = self._phases[number], self._setting
        if phase.begin is not None and first == 0:
            phase.begin()
        let_learn(self._recogniser, phase.learning, phase.objective.reach.n_decoder_layers)
        set_modes(self._recogniser, phase.learning)
        key = StepKey(setting.seed, number, first)
        learner = Learner(self._recogniser.network, phase.objective, phase.steps, self._running, key)
        learner.resume_from = optimizer_state
        learner.skips_layers = self._recogniser.skips_layers and "encoder" in phase.learning
        learner.make_loader = lambda share: StepLoader(
            phase.batches(share, first), first, phase.steps.steps, setting.n_workers
        )
        record = self._record.phases.setdefault(phase.name, PhaseRecord())
        bookkeeping = Bookkeeping(phase.name, self._before(number), record, self._curves)
        guarding = Guarding(
            bookkeeping,
            phase.measured | {phase.steps.steps},
            self._running.checkpoint_every_steps,
            lambda learner: self._look(number, learner),
        )
        with _only_our_words():
            trainer = make_trainer(self._running, setting, [bookkeeping, guarding], self._before(number) + first)
            trainer.fit(learner)

    # --- what is done between steps ---

    def _look(self, number: int, learner: Learner) -> None:
        """Measure, where it is time for that, and write a checkpoint."""
        phase = self._phases[number]
        total = self._before(number) + learner.step
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
            "network": {name: weights[name] for name in self._kept_names},
            "optimizer": learner.optimizer().state_dict(),
            "record": self._record.as_state(),
        }
        self._curves.flush()
        total = self._before(number) + learner.step
        self._checkpoints.save(state, step=total, phase=self._phases[number].name, error_rate=error_rate)

    def _restore(self, state: Mapping[str, Any]) -> tuple[int, int]:
        """The phase and step at which to go on."""
        refuse_another(state, self._recipe, self._setting.folder)
        self._load(state["network"])
        self._record = TrainingRecord.from_state(state["record"])
        total = self._before(state["phase"]) + state["step"]
        self._record.resumed_after.append(total)
        log.info("%s: going on after step %d", shown(self._setting.folder), total)
        return state["phase"], state["step"]

    def _load(self, weights: Mapping[str, Tensor]) -> None:
        odd = sorted(set(weights) ^ set(self._kept_names))
        if odd:
            raise K2DError(f"{shown(self._setting.folder)}: checkpoint of another network (it differs in {odd[:5]})")
        self._recogniser.network.load_state_dict(weights, strict=False)

    # --- the end ---

    def _choose(self) -> None:
        """Leave the mean of the last phase's best checkpoints in the network, or the best alone if that is better."""
        set_modes(self._recogniser, set())
        let_learn(self._recogniser, set())
        n_steps, record = self._before(len(self._phases)), self._record
        record.undertrained = is_undertrained(record.error_rates, n_steps)
        best = self._checkpoints.best(self._phases[-1].name)
        if not best or self._measure is None:
            record.chosen_steps = [n_steps]
            return
        weights = [self._checkpoints.load(seal)["network"] for seal in best]
        record.chosen_steps, record.final_error_rate = [seal.step for seal in best], best[0].error_rate
        if len(best) > 1:
            self._recogniser.network.to("cuda" if self._setting.ngpu else "cpu")  # Lightning has put it back
            self._load(mean_of(weights))
            averaged = self._measure(self._recogniser)
            if best[0].error_rate is None or averaged <= best[0].error_rate:
                record.final_error_rate = averaged
                return
        record.chosen_steps = [best[0].step]
        self._load(weights[0])


def _refuse_skipped_layers(recogniser: Trainable, phases: Sequence[PhasePlan]) -> None:
    """Each process would leave out others, and wait for their gradients."""
    if recogniser.skips_layers and any("encoder" in phase.learning for phase in phases):
        raise UsageError(
            "the encoder leaves out layers at random while it learns (layer_drop_rate or stochastic_depth_rate in the "
            "model's config), which several processes cannot do together; set the rate to 0, or train on one GPU"
        )


def wait_for_all() -> None:
    """Until every process of the training has come as far."""
    if dist.is_initialized():
        dist.barrier()


def mean_of(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several states; whole numbers (counters) are the first one's."""
    first = weights[0]
    return {
        name: torch.stack([each[name] for each in weights]).mean(0) if value.is_floating_point() else value
        for name, value in first.items()
    }


def make_trainer(running: Running, setting: Setting, callbacks: list[L.Callback], first_step: int) -> L.Trainer:
    """Lightning's engine, without what we do ourselves; device, precision and processes are all that varies."""
    on_gpu = setting.ngpu > 0
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # costs 3 %
    return L.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=setting.ngpu or 1,
        precision="bf16-mixed" if running.precision == "bf16" else "32-true",
        deterministic="warn" if on_gpu else True,  # CUDA's CTC has no deterministic backward pass
        max_epochs=1,
        logger=_tensorboard(setting.folder, first_step),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=setting.folder,
    )


def _tensorboard(folder: Path, first_step: int) -> TensorBoardLogger | Literal[False]:
    try:
        return TensorBoardLogger(folder, name="tensorboard", version="", purge_step=first_step)
    except ModuleNotFoundError:
        log.warning("no TensorBoard curves: `pip install tensorboard` for them; %s has the same numbers", CURVES)
        return False


@contextmanager
def _only_our_words() -> Iterator[None]:
    """Lightning tells of its hardware and gives advice on choices that are made on purpose."""
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
