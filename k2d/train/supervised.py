"""Training on labels: CTC on the encoder, cross-entropy on the decoder's next token."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from k2d.config.training import Phase, Training
from k2d.core.stamp import Recipe
from k2d.models.interface import Memory, Trainable
from k2d.train.batches import IGNORED, Batch, Material, StepBatches, TrainingProcess
from k2d.train.engine import Measure, PhasePlan, Setting, train
from k2d.train.records import TrainingRecord
from k2d.train.schedule import measured_steps
from k2d.train.trainable import BY_CTC, BY_TOKENS, Reach

FLAT_FRAMES = 2.0  # standard deviation of a token's place in a flat start, in frames


def train_recogniser(
    recogniser: Trainable,
    training: Training,
    material: Material,
    setting: Setting,
    measure: Measure | None = None,
    *,
    recipe: Recipe,
) -> TrainingRecord:
    """Train on labelled data, phase by phase (see `engine.train`)."""
    phases = [_plan(recogniser, training, name, material, setting.seed) for name in training.phases]
    return train(recogniser, phases, training, setting, recipe=recipe, measure=measure)


def _plan(recogniser: Trainable, training: Training, name: str, material: Material, seed: int) -> PhasePlan:
    phase, number = training.phases[name], list(training.phases).index(name)

    def batches(process: TrainingProcess, first_step: int) -> StepBatches:
        return StepBatches(material, phase, (seed, number), process, first_step)

    is_last = number == len(training.phases) - 1
    at_its_end = frozenset() if phase.train == "encoder" else frozenset({phase.steps})
    measured = measured_steps(training, phase) if is_last else at_its_end
    begin = recogniser.lean_on_ctc if phase.lean_on_ctc else None
    return PhasePlan(name, phase, phase.train, SupervisedLoss(recogniser, phase), batches, measured, begin)


def reach_of(phase: Phase) -> Reach:
    """The parts that the terms of a phase depend on.

    >>> sorted(reach_of(Phase(ctc_weight=1.0)).parts)
    ['ctc_head', 'encoder']
    """
    by_term = {"ctc": BY_CTC, "flat": BY_CTC, "attention": BY_TOKENS}
    reached = (by_term[name] for name, weight in _weights(phase).items() if weight)
    return Reach(frozenset().union(*reached), phase.decoder_layers)


class SupervisedLoss:
    """The terms of the loss in a phase, each a sum over tokens: the step divides by the tokens of the whole batch."""

    def __init__(self, recogniser: Trainable, phase: Phase) -> None:
        self._recogniser, self._phase = recogniser, phase
        self._kept: dict[tuple[int, int], tuple[Memory, Tensor]] = {}
        self.weights: Mapping[str, float] = {name: weight for name, weight in _weights(phase).items() if weight}
        self.reach = reach_of(phase)

    def counts(self, batch: Batch) -> dict[str, int]:
        """The number of tokens that each term sums over."""
        n_text, n_targets = int(batch.n_text_B.sum()), int((batch.targets_BL != IGNORED).sum())
        return {name: n_targets if name == "attention" else n_text for name in self.weights}

    def sums(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss, summed over the batch's tokens."""
        self._recogniser.spec_augment = self._phase.spec_augment
        self._recogniser.n_awake_layers = self._phase.decoder_layers
        with torch.set_grad_enabled(self._phase.train != "decoder"):
            memory, n_frames_B = self._encode_or_reuse(batch)
        terms = {}
        if "ctc" in self.weights:
            blank = self._recogniser.ctc_blank_id
            assert blank is not None
            # A text that does not fit into its frames has an infinite loss; then the step stops and names the sample.
            terms["ctc"] = ctc(self._ctc_log_probs(memory), n_frames_B, self._text(batch), batch.n_text_B, blank)
        if "flat" in self.weights:
            terms["flat"] = flat_start(self._ctc_log_probs(memory), n_frames_B, self._text(batch), batch.n_text_B)
        if "attention" in self.weights:
            terms["attention"] = self._attention(memory, batch)
        return terms

    def _encode_or_reuse(self, batch: Batch) -> tuple[Memory, Tensor]:
        """The encoder's output, computed once for batches that are repeated."""
        if batch.kept_as is None:
            return self._encode(batch)
        if batch.kept_as not in self._kept:
            self._kept[batch.kept_as] = self._encode(batch)
        return self._kept[batch.kept_as]

    def _encode(self, batch: Batch) -> tuple[Memory, Tensor]:
        # At inference a decoder attends to every frame of a padded window. So that it learns the same, the silence
        # after a shorter utterance counts as speech here; CTC alone masks it.
        n_samples_B = batch.n_samples_B
        if "attention" in self.weights:
            n_samples_B = torch.full_like(n_samples_B, batch.speech_BN.shape[1])
        return self._recogniser.encode_unpadded(batch.speech_BN, n_samples_B)

    def _text(self, batch: Batch) -> Tensor:
        return self._recogniser.classes(batch.text_BC)

    def _ctc_log_probs(self, memory: Memory) -> Tensor:
        log_probs_BTV = self._recogniser.ctc_log_probs(memory)
        assert log_probs_BTV is not None
        return log_probs_BTV.float()

    def _attention(self, memory: Memory, batch: Batch) -> Tensor:
        logits_BLV = self._recogniser.logits(memory, batch.inputs_BL)
        return F.cross_entropy(
            logits_BLV.flatten(0, 1).float(),
            self._recogniser.classes(batch.targets_BL).flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self._phase.label_smoothing,
        )


def ctc(log_probs_BTV: Tensor, n_frames_B: Tensor, text_BC: Tensor, n_text_B: Tensor, blank: int) -> Tensor:
    """The summed CTC loss, computed on the classes that occur in each text: the others do not change it."""
    # torch assumes that its input comes from a log-softmax and returns the gradient of both in one: probability minus
    # occupancy. Here the log-softmax over the whole vocabulary has a gradient of its own, and a gather lies between. So
    # the part for the softmax, the probability, is subtracted again: that is the gradient of `mass`, whose value is 0.
    n_frames, blank_B1 = log_probs_BTV.shape[1], torch.full_like(text_BC[:, :1], blank)
    classes_BK = torch.cat([blank_B1, text_BC], 1)
    said_BTK = log_probs_BTV.gather(2, classes_BK.unsqueeze(1).expand(-1, n_frames, -1))
    is_same_BKK = classes_BK.unsqueeze(1) == classes_BK.unsqueeze(2)
    first_BK = is_same_BKK.int().argmax(2)  # a token that occurs twice must be one class, or equal neighbours merge
    loss = F.ctc_loss(said_BTK.transpose(0, 1), first_BK[:, 1:], n_frames_B, n_text_B, reduction="sum")
    is_frame_BT1 = (torch.arange(n_frames, device=n_frames_B.device) < n_frames_B.unsqueeze(1)).unsqueeze(2)
    mass = said_BTK.exp().masked_fill(~is_frame_BT1, 0.0).sum()
    return loss - (mass - mass.detach())


def flat_start(log_probs_BTV: Tensor, n_frames_B: Tensor, text_BC: Tensor, n_text_B: Tensor) -> Tensor:
    """The flat start: -log of each token's mean probability near its place, if all tokens had the same duration.

    From random weights, CTC first learns to write only blanks. This loss first teaches tokens and their approximate
    places.
    """
    n_tokens, n_frames = text_BC.shape[1], log_probs_BTV.shape[1]
    place_C = torch.arange(n_tokens, device=log_probs_BTV.device) + 0.5
    centre_BC = place_C * (n_frames_B / n_text_B.clamp(min=1)).unsqueeze(1)
    frame_T = torch.arange(n_frames, device=log_probs_BTV.device) + 0.5
    near_BCT = -0.5 * ((frame_T - centre_BC.unsqueeze(2)) / FLAT_FRAMES).square()
    said_BCT = log_probs_BTV.gather(2, text_BC.unsqueeze(1).expand(-1, n_frames, -1)).transpose(1, 2)
    losses_BC = -torch.logsumexp(said_BCT + near_BCT.log_softmax(2), 2)
    return losses_BC.masked_fill(place_C > n_text_B.unsqueeze(1), 0.0).sum()


def _weights(phase: Phase) -> dict[str, float]:
    if phase.train == "encoder":
        return {"ctc": 1 - phase.flat_start, "flat": phase.flat_start}
    if phase.train == "decoder":
        return {"attention": 1.0}
    return {"ctc": phase.ctc_weight, "attention": 1 - phase.ctc_weight}
