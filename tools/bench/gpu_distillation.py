"""Measures distillation as in stage 10: the project's training engine on windows with labels of the same length."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils.data import Dataset

from k2d.config.students import Distill
from k2d.config.training import Running, Steps
from k2d.core.ddp_children import ddp_children_for
from k2d.core.stamp import Recipe
from k2d.models.student import shrink
from k2d.models.whisper.recogniser import WhisperRecogniser
from k2d.objectives.objective import Objective
from k2d.plan.memory import Distillation, largest_part, training_lines
from k2d.train import engine
from k2d.train.batches import Batch, TrainingProcess
from k2d.train.callbacks import SavePoints
from k2d.train.distillation import DistillationLoss, TeacherStudent
from k2d.train.engine import PhasePlan, Setting
from k2d.train.lightning_parts import Callback, Trainer
from k2d.train.sharing import most_per_pass, parts_of
from k2d.train.trainer import make_trainer
from tools.bench.gpu_arithmetic import share, training_flops
from tools.bench.gpu_cases import Measuring
from tools.bench.gpu_network import (
    device_of,
    first_kernels,
    load_or_make,
    memory,
    memory_bytes,
    profiler,
    reset_peak,
    shape_of,
    wait_for,
)
from tools.bench.gpu_peaks import Peak

N_LABEL, N_WORDS = 150, 3000
WEIGHTS = {"ce": 0.8, "kl": 1.0}
_N_STUDENT_LAYERS = 2
_WARM_STEPS, _PROFILED_STEPS, _MOST_STEPS = 3, 2, 100_000


def measure_distillation(measuring: Measuring, accumulate: int, peak: Peak) -> dict[str, Any]:
    """Measure steps of a student with the teacher's first and last decoder layers until the time is over."""
    case, device = measuring.case, device_of(measuring)
    step = _planned_step(measuring)
    teacher = load_or_make(measuring)
    timing = _Timing(measuring, device)
    n_classes = _train(teacher, accumulate, timing)
    step_s = statistics.median(timing.steps_s)
    n_flops = measuring.batch_size * training_flops(
        step.student, step.teacher, N_LABEL, n_classes, keep_encoded=case.keep_encoded
    )
    n_windows = most_per_pass(measuring.batch_size, case.n_ranks, accumulate)
    planned = training_lines(_planned_step(measuring, n_windows), on_gpu=device.type == "cuda")
    return {
        "steps_s": timing.steps_s,
        "step_s": step_s,
        "waiting_share": timing.waiting_share,
        "windows_a_pass": n_windows,
        "tokens_a_window": N_LABEL,
        "classes": n_classes,
        "hours_per_hour": measuring.batch_size * step.student.window_s / step_s,
        "step_flops": n_flops,
        "share_of_flops": share(n_flops, step_s * case.n_ranks, peak.flops_per_s),
        **memory(device, planned),
        **({"kernels": timing.kernels} if measuring.has_profile else {}),
    }


def _planned_step(measuring: Measuring, n_windows: int = 1) -> Distillation:
    """The step as `python -m k2d plan` counts it: always on the whole vocabulary."""
    teacher = shape_of(measuring)
    student = teacher.with_decoder_layers(_N_STUDENT_LAYERS)
    keep = measuring.case.keep_encoded
    return Distillation(student, teacher, n_windows, N_LABEL, measuring.precision, keep_encoded=keep)


def fewest_passes(measuring: Measuring) -> int:
    """The smallest number of backward passes that fits according to the plan, or one for each window if none fits."""
    size, n_ranks, room = measuring.batch_size, measuring.case.n_ranks, memory_bytes(device_of(measuring))
    if room is None:
        return 1
    most = largest_part(_planned_step(measuring, most_per_pass(size, n_ranks, 1)), room, on_gpu=True)
    divisors = (n for n in range(1, size + 1) if size % n == 0)
    return next((n for n in divisors if most_per_pass(size, n_ranks, n) <= most), size)


def _train(teacher: WhisperRecogniser, accumulate: int, timing: _Timing) -> int:
    """Train until `timing` stops it. Returns the number of tokens in the output layers."""
    measuring, device = timing.measuring, timing.device
    with device:
        student: Any = shrink(teacher, [0, teacher.n_decoder_layers - 1])
    words = torch.randperm(teacher.codec.eos_id, generator=torch.Generator().manual_seed(0))
    if measuring.case.in_use:
        in_use = torch.cat([words[: N_WORDS + Distill().sampled_tokens], torch.tensor(teacher.codec.special_ids)])
        for each in (student, teacher):
            each.restrict_vocabulary(in_use.sort().values)
    pair = TeacherStudent(student, teacher, shares_encoder=True)
    objective = DistillationLoss(pair, Objective(WEIGHTS, Distill().temperature), Distill().reduction)
    steps = Steps(_MOST_STEPS, measuring.batch_size, accumulate, lr=1e-6)

    def batches(process: TrainingProcess, _first: int) -> _Repeated:
        parts = parts_of(measuring.batch_size, process.rank, process.world, accumulate)
        return _Repeated([_batch(teacher, words[:N_WORDS], len(part), measuring) for part in parts])

    with (
        tempfile.TemporaryDirectory(prefix="k2d-bench-") as name,
        ddp_children_for(Path(name)),
        patch.object(engine, "make_trainer", timing.trainer),
    ):
        setting = Setting(Path(name), 1, 0 if device.type == "cpu" else measuring.case.n_ranks, n_workers=0)
        plan = PhasePlan("distill", steps, "decoder", objective, batches)
        running = Running(precision="bf16" if measuring.precision == "bf16" else "fp32")
        engine.train(student, [plan], running, setting, recipe=Recipe("bench", 1, {}, {}))
    return int(student.n_classes)


class _Repeated(Dataset[list[Batch]]):
    """The same batches at each step."""

    def __init__(self, parts: list[Batch]) -> None:
        self._parts = parts

    def __getitem__(self, step: int) -> list[Batch]:
        return self._parts


def _batch(teacher: WhisperRecogniser, words_W: Tensor, n_windows: int, measuring: Measuring) -> Batch:
    """Make a batch of noise, or of random kept outputs of a teacher, with labels of these words, in pinned memory."""
    torch.manual_seed(0)
    dims, keep = teacher.dims, measuring.case.keep_encoded
    ids_BL = words_W[torch.randint(len(words_W), (n_windows, N_LABEL + 1))]
    n_samples = 0 if keep else teacher.window.n_samples
    batch = Batch(
        tuple(map(str, range(n_windows))),
        0.1 * torch.randn(n_windows, n_samples),
        torch.full((n_windows,), n_samples),
        ids_BL[:, :-1].contiguous(),
        ids_BL[:, 1:].contiguous(),
        ids_BL[:, 1:].contiguous(),
        torch.full((n_windows,), N_LABEL),
        states_BTD=torch.randn(n_windows, dims.n_audio_ctx, dims.n_audio_state) if keep else None,
        teacher_hidden_BLD=torch.randn(n_windows, N_LABEL, dims.n_text_state) if keep else None,
    )
    if measuring.device == "cpu":
        return batch
    pinned: dict[str, Any] = {
        name: part.pin_memory() for name, part in batch._asdict().items() if isinstance(part, Tensor)
    }
    return batch._replace(**pinned)


class _Timing(Callback):
    """Times each step after the first ones, and ends the training when the time is over."""

    def __init__(self, measuring: Measuring, device: torch.device) -> None:
        self.measuring, self.device = measuring, device
        self.steps_s: list[float] = []
        self.kernels: list[dict[str, Any]] = []
        self.waiting_share = 0.0
        self._n_done = 0
        self._started = self._mark = self._waited_s = 0.0
        self._profile: Any = None
        self._n_profiled = 0

    def trainer(self, running: Running, folder: Path, ngpu: int, ours: list[Callback], first: int) -> Trainer:
        """Make the engine's trainer without checkpoints: the student is not used."""
        kept = [callback for callback in ours if not isinstance(callback, SavePoints)]
        return make_trainer(running, folder, ngpu, [*kept, self], first)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        wait_for(self.device)
        now, loader = time.perf_counter(), trainer.train_dataloader
        self._n_done += 1
        if self._profile is not None:
            self._end_profile(trainer)
            return
        if self._n_done <= _WARM_STEPS:
            self._started, self._mark, self._waited_s = now, now, getattr(loader, "waited_s", 0.0)
            reset_peak(self.device)
            return
        self.steps_s.append(now - self._mark)
        self._mark = now
        is_over = now - self._started >= self.measuring.seconds
        if trainer.strategy.reduce_boolean_decision(is_over, all=False):
            self.waiting_share = (getattr(loader, "waited_s", 0.0) - self._waited_s) / (now - self._started)
            if self.measuring.has_profile:
                self._profile = profiler(self.device).__enter__()
            else:
                trainer.should_stop = True

    def _end_profile(self, trainer: Trainer) -> None:
        self._n_profiled += 1
        if self._n_profiled == _PROFILED_STEPS:
            self._profile.__exit__(None, None, None)
            self.kernels = first_kernels(self._profile, self.device)
            trainer.should_stop = True
