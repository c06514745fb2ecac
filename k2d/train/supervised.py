"""What a recogniser learns from labels: CTC on the encoder, the next token on the decoder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import torch
from torch import Tensor
from torch.nn import functional as F

from k2d.config import settings_of
from k2d.config.schema import Phase, Training
from k2d.models.recogniser import Memory
from k2d.stamp import Recipe
from k2d.train.batches import IGNORED, Batch, Material, Share, StepBatches
from k2d.train.engine import Measure, PhasePlan, Setting, train
from k2d.train.records import TrainingRecord
from k2d.train.schedule import measured_steps
from k2d.train.trainable import Trainable

VERSION = 1  # raised by hand when the same settings would train another model


def train_recogniser(
    recogniser: Trainable, training: Training, material: Material, setting: Setting, measure: Measure | None = None
) -> TrainingRecord:
    """Train on labelled data, phase after phase; see `engine.train`."""
    settings = {
        "training": settings_of(training),
        "seed": setting.seed,
        "request": asdict(material.request),
        "parameters": dict(recogniser.n_parameters()),
        "vocabulary": material.codec.vocabulary_hash,
    }
    recipe = Recipe("train", VERSION, settings, {"pool": json.dumps(material.pool.made_from, sort_keys=True)})
    phases = [_plan(recogniser, training, name, material, setting.seed) for name in training.phases]
    return train(recogniser, phases, training, setting, recipe=recipe, measure=measure)


def _plan(recogniser: Trainable, training: Training, name: str, material: Material, seed: int) -> PhasePlan:
    phase, number = training.phases[name], list(training.phases).index(name)

    def batches(share: Share) -> StepBatches:
        return StepBatches(material, phase, (seed, number), share)

    measured = measured_steps(training, phase, is_last=number == len(training.phases) - 1)
    return PhasePlan(name, phase, phase.train, Supervised(recogniser, phase), batches, measured)


class Supervised:
    """The terms of the loss in a phase, each a sum over tokens: the step divides by the tokens of the whole batch."""

    def __init__(self, recogniser: Trainable, phase: Phase) -> None:
        self._recogniser, self._phase = recogniser, phase
        self.weights: Mapping[str, float] = {name: weight for name, weight in _weights(phase).items() if weight}

    def counts(self, batch: Batch) -> dict[str, int]:
        """How many tokens each term is a sum over."""
        both = {"ctc": int(batch.n_text_B.sum()), "attention": int((batch.targets_BL != IGNORED).sum())}
        return {name: both[name] for name in self.weights}

    def sums(self, batch: Batch) -> dict[str, Tensor]:
        """The terms, from the audio on."""
        with torch.set_grad_enabled(self._phase.train != "decoder"):
            memory, n_frames_B = self._encode(batch)
        terms = {}
        if "ctc" in self.weights:
            terms["ctc"] = self._ctc(memory, n_frames_B, batch)
        if "attention" in self.weights:
            terms["attention"] = self._attention(memory, batch)
        return terms

    def _encode(self, batch: Batch) -> tuple[Memory, Tensor]:
        """Decoders attend to all that is there: for them the silence behind a shorter utterance counts as heard."""
        n_samples_B = batch.n_samples_B
        if "attention" in self.weights:
            n_samples_B = torch.full_like(n_samples_B, batch.speech_BN.shape[1])
        return self._recogniser.encode_unpadded(batch.speech_BN, n_samples_B)

    def _ctc(self, memory: Memory, n_frames_B: Tensor, batch: Batch) -> Tensor:
        """A text that does not fit in its frames has an infinite loss: the step stops and names it."""
        log_probs_BTV = self._recogniser.ctc_log_probs(memory)
        blank = self._recogniser.ctc_blank_id
        assert log_probs_BTV is not None
        assert blank is not None
        log_probs_TBV = log_probs_BTV.float().transpose(0, 1)
        return F.ctc_loss(log_probs_TBV, batch.text_BC, n_frames_B, batch.n_text_B, blank=blank, reduction="sum")

    def _attention(self, memory: Memory, batch: Batch) -> Tensor:
        logits_BLV = self._recogniser.logits(memory, batch.inputs_BL)
        return F.cross_entropy(
            logits_BLV.flatten(0, 1).float(),
            batch.targets_BL.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self._phase.label_smoothing,
        )


def _weights(phase: Phase) -> dict[str, float]:
    if phase.train == "encoder":
        return {"ctc": 1.0}
    if phase.train == "decoder":
        return {"attention": 1.0}
    return {"ctc": phase.ctc_weight, "attention": 1 - phase.ctc_weight}
