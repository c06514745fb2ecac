"""The weighted sum of terms that a student is trained on, computed in pieces so that a large vocabulary fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from k2d.core.errors import UsageError
from k2d.objectives import CHUNK_ELEMENTS
from k2d.objectives.terms import CTC, TERMS, Tokens, term_names, terms_with_teacher

OutputLayer = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both decoders' last hidden states at the N places with a label, and their output layers, which rate the same
    tokens: the whole vocabulary, or those of it that take part."""

    targets_N: Tensor
    student_hidden_ND: Tensor
    student_output: OutputLayer
    teacher_hidden_ND: Tensor
    teacher_output: OutputLayer
    n_vocabulary: int
    """How many tokens the output layers rate."""
    log_counts_V: Tensor | None = None
    """How many tokens of the vocabulary each of these stands for, as a logarithm; None: each for itself."""
    weights_N: Tensor | None = None
    """The weight of each place's loss. None: 1."""
    is_taught_N: Tensor | None = None
    """Where the terms that read the teacher count. None: everywhere."""


@dataclass(frozen=True, slots=True)
class Objective:
    """The loss: terms by name with their weights. At T = 1, `ce` and `kl` are the formulas as printed in the paper."""

    weights: Mapping[str, float]
    temperature: float
    chunk_elements: int = CHUNK_ELEMENTS

    def __post_init__(self) -> None:
        unknown = [name for name in self.weights if name not in TERMS and name != CTC]
        if unknown:
            found, known = ", ".join(map(repr, unknown)), ", ".join(term_names())
            raise UsageError(f"distill.objective: unknown term {found}; there are {known}")
        if not any(weight > 0 for weight in self.weights.values()):
            raise UsageError("distill.objective: no term has a weight above 0, so there is nothing to train")

    @property
    def token_terms(self) -> tuple[str, ...]:
        """The terms per token with a weight, in the order of the config."""
        return tuple(name for name, weight in self.weights.items() if weight > 0 and name != CTC)

    @property
    def reads_logits(self) -> bool:
        """Whether any term reads the student's logits, so that its output layer is trained."""
        return any(TERMS[name].reads_student_logits for name in self.token_terms)

    @property
    def reads_teacher(self) -> bool:
        """Whether any term reads what the teacher's decoder gives."""
        return bool(terms_with_teacher(self.weights))

    def sums(self, sides: Sides) -> dict[str, Tensor]:
        """Each term summed over the tokens, unweighted, with gradients to the student.

        Logits of a large vocabulary fill a GPU: 10,000 tokens of Whisper are 2 GB for each decoder. So the tokens are
        processed in pieces. If there are several, a piece's logits are computed again in the backward pass, and only
        one piece is in memory at a time.
        """
        names = self.token_terms
        n = sides.targets_N.shape[0]
        n_chunk = max(1, self.chunk_elements // sides.n_vocabulary)
        if n <= n_chunk:
            return dict(zip(names, self._piece(sides, slice(0, n)), strict=True))
        totals = [sides.student_hidden_ND.new_zeros((), dtype=torch.float32) for _ in names]
        for start in range(0, n, n_chunk):
            piece = checkpoint(self._piece, sides, slice(start, min(start + n_chunk, n)), use_reentrant=False)
            totals = [total + part for total, part in zip(totals, piece, strict=True)]
        return dict(zip(names, totals, strict=True))

    def _piece(self, sides: Sides, rows: slice) -> list[Tensor]:
        student, teacher = sides.student_hidden_ND[rows], sides.teacher_hidden_ND[rows]
        # Logits that no term reads are a matrix without columns, so no output layer runs for them.
        nothing = student.new_zeros((student.shape[0], 0))
        student_logits = sides.student_output(student) if self.reads_logits else nothing
        reads_teacher = any(TERMS[name].reads_teacher_logits for name in self.token_terms)
        with torch.no_grad():
            teacher_logits = sides.teacher_output(teacher) if reads_teacher else nothing
        targets, log_counts = sides.targets_N[rows], sides.log_counts_V
        tokens = Tokens(targets, student, student_logits, teacher, teacher_logits, self.temperature, log_counts)
        return [self._summed(name, TERMS[name].loss(tokens), sides, rows) for name in self.token_terms]

    def _summed(self, name: str, loss_N: Tensor, sides: Sides, rows: slice) -> Tensor:
        if sides.is_taught_N is not None and TERMS[name].reads_teacher:
            loss_N = loss_N.masked_fill(~sides.is_taught_N[rows], 0.0)
        return (loss_N if sides.weights_N is None else sides.weights_N[rows] * loss_N).sum()
