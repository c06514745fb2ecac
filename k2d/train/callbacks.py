"""What happens around the steps: curves, progress, measuring, checkpoints, and stopping when asked to."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger

from k2d.core.progress import Progress
from k2d.core.signals import REPEATED_WITHIN_S, Ended
from k2d.train.batches import StepLoader
from k2d.train.learner import Learner
from k2d.train.records import Curves, PhaseRecord

_TENSORBOARD_EVERY_STEPS = 10
_CURVES_EVERY_S = 5.0


class Stopped(Ended):
    """The training was asked to end and has written a checkpoint; the exit code is that of the signal."""


class Bookkeeping(L.Callback):
    """A line of numbers per step, for reading and for TensorBoard; times for the record; the bar."""

    def __init__(self, name: str, before: int, record: PhaseRecord, curves: Curves) -> None:
        self._name, self._before, self._record, self._curves = name, before, record, curves
        self._flushed = 0.0
        self._progress: Progress | None = None

    def on_train_start(self, trainer: L.Trainer, learner: L.LightningModule) -> None:
        self._progress = Progress(f"training, {self._name}", len(_loader(trainer)), "steps")
        self._started, self._waited = time.perf_counter(), 0.0

    def on_train_batch_end(self, trainer: L.Trainer, learner: L.LightningModule, *_: Any) -> None:
        assert isinstance(learner, Learner)
        now, waited = time.perf_counter(), _loader(trainer).waited_s
        record, values = self._record, learner.values
        record.steps = learner.step
        record.train_s += now - self._started
        record.waiting_s += waited - self._waited
        record.first, record.last = record.first or dict(values), dict(values)
        self._started, self._waited = now, waited
        total = self._before + learner.step
        if trainer.is_global_zero:  # who alone writes them
            self._curves.add(self._name, learner.step, total, values)
            self._tell(trainer, learner, total)

    def _tell(self, trainer: L.Trainer, learner: Learner, total: int) -> None:
        assert self._progress is not None
        self._progress.update()
        if isinstance(trainer.logger, TensorBoardLogger) and learner.step % _TENSORBOARD_EVERY_STEPS == 0:
            trainer.logger.log_metrics(learner.values, step=total)
        if time.monotonic() - self._flushed > _CURVES_EVERY_S:
            self._curves.flush()
            self._flushed = time.monotonic()

    def leave_out(self, seconds: float) -> None:
        """Time that went into measuring and saving."""
        self._record.between_s += seconds
        self._started = time.perf_counter()

    def on_train_end(self, trainer: L.Trainer, learner: L.LightningModule) -> None:
        self._end_progress()

    def on_exception(self, trainer: L.Trainer, learner: L.LightningModule, exception: BaseException) -> None:
        self._end_progress()  # it may not have begun

    def _end_progress(self) -> None:
        if self._progress is not None:
            self._progress.__exit__()


class Guarding(L.Callback):
    """Has the model looked after at the steps given; when asked to end once more after the step, and ends.

    Who asks: SIGTERM, SIGUSR1, or Ctrl-C. At the second Ctrl-C it ends at once.
    """

    def __init__(
        self, bookkeeping: Bookkeeping, steps: frozenset[int], every: int, look: Callable[[Learner], None]
    ) -> None:
        """`look` measures where it is time for that, and writes a checkpoint."""
        self._bookkeeping, self._steps, self._every, self._look = bookkeeping, steps, every, look
        self._signal: int | None = None
        self._asked = 0.0

    def on_train_start(self, trainer: L.Trainer, learner: L.LightningModule) -> None:
        # Over Lightning's own handlers, which would end or requeue the job; it puts the former ones back at the end.
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._remember)

    def _remember(self, number: int, _: FrameType | None) -> None:
        is_again = number == self._signal and time.monotonic() - self._asked >= REPEATED_WITHIN_S
        if is_again and number == signal.SIGINT:
            raise Ended(number)
        self._signal, self._asked = number, time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, learner: L.LightningModule, *_: Any) -> None:
        assert isinstance(learner, Learner)
        asked = trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False)
        if asked or learner.step in self._steps or learner.step % self._every == 0:
            started = time.perf_counter()
            self._look(learner)
            self._bookkeeping.leave_out(time.perf_counter() - started)
        if asked:
            trainer.strategy.barrier("the checkpoint is written")  # until then nobody ends
            raise Stopped(self._signal or signal.SIGTERM)


def _loader(trainer: L.Trainer) -> StepLoader:
    loader = trainer.train_dataloader
    assert isinstance(loader, StepLoader)
    return loader
