"""Lightning callbacks around the steps: curves, progress, measurement, checkpoints, and stopping on a signal."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from k2d.core.progress import Progress
from k2d.core.signals import REPEATED_WITHIN_S, Ended
from k2d.train.batches import StepLoader
from k2d.train.learner import Learner
from k2d.train.lightning_parts import Callback, LightningModule, TensorBoardLogger, Trainer
from k2d.train.records import Curves, PhaseRecord

_TENSORBOARD_EVERY_STEPS = 10
_CURVES_EVERY_S = 5.0


class Stopped(Ended):
    """A signal asked the training to end, and a checkpoint was written. The exit code is that of the signal."""


class Bookkeeping(Callback):
    """A line of numbers per step, for the curves and for TensorBoard; times for the record; the progress bar."""

    def __init__(self, name: str, before: int, record: PhaseRecord, curves: Curves) -> None:
        self._name, self._before, self._record, self._curves = name, before, record, curves
        self._flushed = 0.0
        self._progress: Progress | None = None

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        self._progress = Progress(f"training, {self._name}", len(_loader(trainer)), "steps")
        self._started, self._waited = time.perf_counter(), 0.0

    def on_train_batch_end(self, trainer: Trainer, learner: LightningModule, *_: Any) -> None:
        assert isinstance(learner, Learner)
        now, waited = time.perf_counter(), _loader(trainer).waited_s
        record, values = self._record, learner.values
        record.steps = learner.step
        record.train_s += now - self._started
        record.waiting_s += waited - self._waited
        record.first, record.last = record.first or dict(values), dict(values)
        self._started, self._waited = now, waited
        total = self._before + learner.step
        if trainer.is_global_zero:
            self._curves.add(self._name, learner.step, total, values)
            self._report(trainer, learner, total)

    def _report(self, trainer: Trainer, learner: Learner, total: int) -> None:
        assert self._progress is not None
        self._progress.update()
        if isinstance(trainer.logger, TensorBoardLogger) and learner.step % _TENSORBOARD_EVERY_STEPS == 0:
            trainer.logger.log_metrics(learner.values, step=total)
        if time.monotonic() - self._flushed > _CURVES_EVERY_S:
            self._curves.flush()
            self._flushed = time.monotonic()

    def exclude(self, seconds: float) -> None:
        """Count time for measuring and saving separately from the time for steps."""
        self._record.between_s += seconds
        self._started = time.perf_counter()

    def on_train_end(self, trainer: Trainer, learner: LightningModule) -> None:
        self._end_progress()

    def on_exception(self, trainer: Trainer, learner: LightningModule, exception: BaseException) -> None:
        self._end_progress()

    def _end_progress(self) -> None:
        if self._progress is not None:  # None after an error before the first step
            self._progress.__exit__()


class SavePoints(Callback):
    """Saves the model at the given steps, and after a signal, which then ends the training.

    The signals are SIGTERM, SIGUSR1 and Ctrl-C. A second Ctrl-C ends the training at once.
    """

    def __init__(
        self, bookkeeping: Bookkeeping, steps: frozenset[int], every: int, measure_and_save: Callable[[Learner], None]
    ) -> None:
        self._bookkeeping, self._steps, self._every = bookkeeping, steps, every
        self._measure_and_save = measure_and_save
        self._signal: int | None = None
        self._asked = 0.0

    def on_train_start(self, trainer: Trainer, learner: LightningModule) -> None:
        # These replace Lightning's own handlers, which would end or requeue the job. Lightning restores the previous
        # handlers when the training ends.
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._remember_signal)

    def _remember_signal(self, number: int, _: FrameType | None) -> None:
        # Ctrl-C reaches a whole process group, and a launcher may forward it, too: two within a moment count as one.
        is_again = number == self._signal and time.monotonic() - self._asked >= REPEATED_WITHIN_S
        if is_again and number == signal.SIGINT:
            raise Ended(number)
        self._signal, self._asked = number, time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, learner: LightningModule, *_: Any) -> None:
        assert isinstance(learner, Learner)
        # A signal may reach only one process, or each at another step. All must stop after the same step, so they
        # ask each other after every step.
        asked = trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False)
        if asked or learner.step in self._steps or learner.step % self._every == 0:
            started = time.perf_counter()
            self._measure_and_save(learner)
            self._bookkeeping.exclude(time.perf_counter() - started)
        if asked:
            # Rank 0 writes the checkpoint. If another process ended before that, rank 0 would be killed with it.
            trainer.strategy.barrier("the checkpoint is written")
            raise Stopped(self._signal or signal.SIGTERM)


def _loader(trainer: Trainer) -> StepLoader:
    loader = trainer.train_dataloader
    assert isinstance(loader, StepLoader)
    return loader
