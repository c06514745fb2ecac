"""The loss of a student: the terms of its objective, from its own and its teacher's outputs on the same batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from k2d.core.errors import UsageError
from k2d.models.interface import Memory, Trainable
from k2d.objectives.objective import Objective, Sides
from k2d.objectives.terms import CTC, ctc, terms_with_teacher
from k2d.train.batches import IGNORED, Batch
from k2d.train.trainable import BY_CTC, BY_TOKENS, Reach
from k2d.train.vocabulary import VocabularyInUse


@dataclass(frozen=True, slots=True)
class TeacherStudent:
    """A student and its teacher."""

    student: Trainable
    teacher: Trainable
    shares_encoder: bool
    """Whether the student's encoder is the teacher's and frozen, so that its output is computed once for both."""


def reach_of(objective: Objective) -> Reach:
    """The parts that the terms depend on: some terms use the decoder's last hidden states and no logits.

    >>> [sorted(reach_of(Objective({name: 1.0}, 2.0)).parts) for name in ("hidden_mse", "ctc")]
    [['decoder', 'encoder'], ['ctc_head', 'encoder']]
    """
    by_ctc = BY_CTC if objective.weights.get(CTC) else frozenset()
    by_tokens = BY_TOKENS if objective.token_terms else frozenset()
    return Reach(by_ctc | (by_tokens if objective.reads_logits else by_tokens - {"output_layer"}))


class DistillationLoss:
    """The terms of the loss, each a sum over tokens: the step divides by the tokens of the whole batch."""

    def __init__(self, pair: TeacherStudent, objective: Objective, reduction: Literal["token_mean", "sum"]) -> None:
        self._pair, self._objective, self._reduction = pair, objective, reduction
        self.weights: Mapping[str, float] = {name: weight for name, weight in objective.weights.items() if weight}
        self.reach = reach_of(objective)
        self._log_counts_K: Tensor | None = None
        pair.teacher.network.requires_grad_(False).eval()
        if CTC in self.weights and pair.student.ctc_blank_id is None:
            raise UsageError("distill.objective.ctc: the student has no CTC head; leave the term out")

    def restrict_vocabulary(self, vocabulary: VocabularyInUse) -> None:
        """Let student and teacher rate these tokens alone, until the student's vocabulary is restored."""
        for each in (self._pair.student, self._pair.teacher):
            each.restrict_vocabulary(torch.from_numpy(vocabulary.ids_K))
        if vocabulary.log_counts_K.any():
            self._log_counts_K = torch.from_numpy(vocabulary.log_counts_K)

    def counts(self, batch: Batch) -> dict[str, int]:
        """The number of tokens by which each term is divided. 0: the term is a sum, for any number of backward
        passes.
        """
        if self._reduction == "sum":
            return dict.fromkeys(self.weights, 0)
        counted_BL = batch.targets_BL != IGNORED
        taught = counted_BL if batch.is_taught_B is None else counted_BL & batch.is_taught_B.unsqueeze(1)
        with_teacher = terms_with_teacher(self.weights)
        counts = {name: int((taught if name in with_teacher else counted_BL).sum()) for name in self.weights}
        return {name: int(batch.n_text_B.sum()) if name == CTC else n for name, n in counts.items()}

    def sums(self, batch: Batch) -> dict[str, Tensor]:
        """The terms of the loss, summed over the batch's tokens."""
        # Lightning moves the student to its GPU, but not the teacher.
        if self._pair.teacher.device != self._pair.student.device:
            self._pair.teacher.network.to(self._pair.student.device)
        student_memory, teacher_memory = self._memories(batch)
        terms = self._objective.sums(self._sides(batch, student_memory, teacher_memory))
        if CTC in self.weights:
            terms[CTC] = self._ctc(student_memory, batch)
        return {name: terms[name] for name in self.weights}

    def _memories(self, batch: Batch) -> tuple[Memory, Memory]:
        """The encoder's output for the student's decoder and for the teacher's."""
        teacher = self._pair.teacher
        if batch.states_BTD is not None:
            teacher_memory = Memory(batch.states_BTD.to(teacher.device, teacher.dtype))
        else:
            with torch.no_grad():
                teacher_memory = teacher.encode(batch.speech_BN)
        if self._pair.shares_encoder:
            return teacher_memory, teacher_memory
        return self._pair.student.encode(batch.speech_BN), teacher_memory

    def _sides(self, batch: Batch, student_memory: Memory, teacher_memory: Memory) -> Sides:
        """Both decoders' outputs on the same label, at the places that carry loss."""
        # With token noise the student reads replaced words, but the teacher reads the label itself: the student learns
        # to give the teacher's distribution in spite of the wrong words before it.
        student, teacher = self._pair.student, self._pair.teacher
        counted_BL = batch.targets_BL != IGNORED
        student_hidden_BLD = student.hidden(student_memory, batch.inputs_BL)
        if not self._objective.reads_teacher:  # its decoder is the dearest part of a step
            teacher_hidden_BLD = student_hidden_BLD.new_zeros((*counted_BL.shape, 0))
        elif batch.teacher_hidden_BLD is not None:
            teacher_hidden_BLD = batch.teacher_hidden_BLD.to(teacher.device, teacher.dtype)
        else:
            with torch.no_grad():
                inputs_BL = batch.inputs_BL if batch.clean_inputs_BL is None else batch.clean_inputs_BL
                teacher_hidden_BLD = teacher.hidden(teacher_memory, inputs_BL)
        return Sides(
            student.classes(batch.targets_BL[counted_BL]),
            student_hidden_BLD[counted_BL],
            student.output,
            teacher_hidden_BLD[counted_BL],
            teacher.output,
            student.n_classes,
            None if self._log_counts_K is None else self._log_counts_K.to(student.device),
            _by_place(batch.weights_B, counted_BL),
            _by_place(batch.is_taught_B, counted_BL),
        )

    def _ctc(self, memory: Memory, batch: Batch) -> Tensor:
        log_probs_BTV, blank_id = self._pair.student.ctc_log_probs(memory), self._pair.student.ctc_blank_id
        assert log_probs_BTV is not None
        assert blank_id is not None
        labels = [text[:n] for text, n in zip(batch.text_BC, batch.n_text_B.tolist(), strict=True)]
        losses_B = ctc(log_probs_BTV, labels, blank_id)
        return (losses_B if batch.weights_B is None else losses_B * batch.weights_B).sum()


def _by_place(values_B: Tensor | None, counted_BL: Tensor) -> Tensor | None:
    """The value of each sample, at each of its places that carry loss."""
    return None if values_B is None else values_B.unsqueeze(1).expand_as(counted_BL)[counted_BL]
