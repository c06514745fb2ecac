"""Tiny real recognisers of both families for the cases of train_cases.py, and data made by hand."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from models_made import made_recogniser
from torch import nn
from torch.utils.data import Dataset
from train_cases import Case
from whisper_made import TINY, made_state

from k2d.config.training import Running, Steps
from k2d.models.codec import Request
from k2d.models.student import shrink
from k2d.models.whisper.checkpoint import Generation, WhisperWeights
from k2d.models.whisper.new_network import NewWhisper
from k2d.models.whisper.recogniser import WhisperRecogniser
from k2d.objectives.objective import Objective
from k2d.train.batches import IGNORED, Batch, Material, Sample, StepBatches, TrainingProcess, collate
from k2d.train.distillation import DistillationLoss, TeacherStudent
from k2d.train.engine import PhasePlan
from k2d.train.pool import Pool, PoolIndex
from k2d.train.supervised import SupervisedLoss
from k2d.train.vocabulary import VocabularyInUse

RATE_HZ = 16_000
TEXTS = ("我們 today", "hello world", "the plan 很 smart", "去玩")
STEPS = Steps(steps=2, batch_size=4, lr=1e-3, warmup_steps=0)


class Families:
    """The recognisers, made once. Each case gets copies."""

    running = Running(checkpoint_every_steps=100)

    def __init__(self, folder: Path) -> None:
        s2t = made_recogniser(folder / "s2t")
        whisper = WhisperRecogniser.of(WhisperWeights(TINY, made_state(), Generation()), ("zh",))
        new_whisper = NewWhisper.new(TINY, TEXTS, ("zh",), seed=1)
        self._teachers = {"s2t": s2t, "whisper": whisper}
        self._new = {"s2t": s2t, "whisper": new_whisper}
        for made in (s2t, whisper, new_whisper):
            _make_exact(made)
        self._pool = _pool()

    def made(self, case: Case) -> tuple[Any, PhasePlan]:
        """The recogniser that learns in a case, and its phase."""
        if case.phase is None:
            return self._student(case)
        recogniser, phase = _copied(self._new[case.family]), case.phase
        material = Material(self._pool, recogniser.codec, recogniser.window, Request())

        def batches(share: TrainingProcess, first: int) -> StepBatches:
            return StepBatches(material, phase, (1, 0), share, first)

        return recogniser, PhasePlan("labels", phase, phase.train, SupervisedLoss(recogniser, phase), batches)

    def _student(self, case: Case) -> tuple[Any, PhasePlan]:
        teacher = _copied(self._teachers[case.family])
        student: Any = shrink(teacher, [0, 2])
        _make_exact(student)
        student.spec_augment, student.freeze_positions = False, case.freeze_positions
        pair = TeacherStudent(student, teacher, shares_encoder=case.freeze_encoder)
        objective = DistillationLoss(pair, Objective(dict.fromkeys(case.terms, 1.0), 2.0), "token_mean")
        if case.in_use_alone:
            objective.restrict_vocabulary(some_in_use(student.codec))
        # A window of a Whisper takes ten times as long as one of the other family: one for each of two processes.
        samples = _samples(student, TEXTS[:2] if case.family == "whisper" else TEXTS)
        part = "decoder" if case.freeze_encoder else "all"
        keeping = teacher if case.keep_encoded else None
        return student, PhasePlan("student", STEPS, part, objective, lambda share, _: Shared(samples, share, keeping))


def some_in_use(codec: Any) -> VocabularyInUse:
    """The tokens of the texts, all special tokens, and each tenth of the others."""
    special = set(codec.special_ids)
    words = {token for text in TEXTS for token in codec.ids(f"<0.00>{text}<1.20>")} - special
    others = sorted({*range(codec.n_tokens)} - words - special)
    ids_K = np.array(sorted({*words, *special, *others[::10]}))
    return VocabularyInUse(ids_K, codec.n_tokens, len(words), len(special), np.isin(ids_K, others))


def _copied(recogniser: Any) -> Any:
    """A copy with weights of its own. To copy the codec, which nobody changes, takes longer than a step."""
    made = copy.copy(recogniser)
    made.network = copy.deepcopy(recogniser.network)
    return made


def _make_exact(recogniser: Any) -> None:
    """Convert to float64: AdamW learns from a gradient that is only rounding as much as from any other.

    Dropout is turned off, because each process draws it for itself.
    """
    recogniser.to("cpu", torch.float64)
    for module in recogniser.network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.LayerNorm):
            module.__class__ = nn.LayerNorm  # Whisper's own computes in float32
    recogniser.network.double()


class Shared(Dataset[list[Batch]]):
    """One process's share of the same samples in each step, with the teacher's outputs if there is a `teacher`."""

    def __init__(self, samples: Sequence[Sample], share: TrainingProcess, teacher: Any | None) -> None:
        own = collate(samples[share.rank :: share.world])
        self._batch = own if teacher is None else _encoded(own, teacher)

    def __getitem__(self, step: int) -> list[Batch]:
        return [self._batch]


@torch.no_grad()
def _encoded(batch: Batch, teacher: Any) -> Batch:
    memory = teacher.encode(batch.speech_BN)
    hidden_BLD = teacher.hidden(memory, batch.inputs_BL)
    silent = batch.speech_BN.new_zeros(len(batch.ids), 0)
    return batch._replace(speech_BN=silent, states_BTD=memory.states_BTD, teacher_hidden_BLD=hidden_BLD)


def _samples(recogniser: Any, texts: Sequence[str]) -> list[Sample]:
    """Whole windows, as in stage 10."""
    rng = np.random.default_rng(0)
    samples = []
    for n, text in enumerate(texts):
        ids, n_prompt = recogniser.codec.label(f"<0.00>{text}<1.20>", Request())
        sequence = np.array(ids, dtype=np.int64)
        targets = sequence[1:].copy()
        targets[: n_prompt - 1] = IGNORED
        speech = rng.standard_normal(recogniser.window.n_samples).astype(np.float32) * 0.1
        label_ids = np.array(recogniser.codec.ids(text), dtype=np.int64)
        samples.append(Sample(str(n), speech, sequence[:-1], targets, label_ids))
    return samples


def _pool() -> Pool:
    rng = np.random.default_rng(0)
    counts = [round(s * RATE_HZ) for s in (1.5, 2.0, 2.5, 1.2)]
    audio = rng.integers(-5000, 5000, sum(counts)).astype(np.int16)
    return Pool(PoolIndex({}, ["a", "b", "c", "d"], TEXTS, counts, {}), audio, RATE_HZ)
