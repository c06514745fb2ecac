"""The terms of a distillation loss. To add one: a decorated function below, and a test with a worked-out answer.

A term gets the tokens that carry loss, flattened to N (no padding, no prompt), and returns a loss for each. The config
reads the names from here, so this file imports torch only inside functions that compute a loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

DKD_ALPHA, DKD_BETA = 1.0, 1.0
"""Weights of the two parts of decoupled distillation. They are those of its paper for large vocabularies."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The outputs of both decoders at N places, and the labels there."""

    targets_N: Tensor
    student_hidden_ND: Tensor
    student_logits_NV: Tensor
    teacher_hidden_ND: Tensor
    teacher_logits_NV: Tensor
    temperature: float
    log_counts_V: Tensor | None = None
    """How many tokens of the vocabulary each logit stands for, as a logarithm; None: each for itself."""


@dataclass(frozen=True, slots=True)
class Term:
    """A loss per token, and which logits it reads. Logits that no term reads are not computed."""

    loss: Callable[[Tokens], Tensor]
    reads_student_logits: bool
    reads_teacher_logits: bool
    reads_teacher_hidden: bool = False

    @property
    def reads_teacher(self) -> bool:
        """Whether the teacher's decoder has to run."""
        return self.reads_teacher_logits or self.reads_teacher_hidden


TERMS: dict[str, Term] = {}
"""By their names in the config (distill.objective), which are the functions' names."""


def term(
    *, student_logits: bool, teacher_logits: bool, teacher_hidden: bool = False
) -> Callable[[Callable[[Tokens], Tensor]], Callable[[Tokens], Tensor]]:
    """Register a function as a term."""

    def register(loss: Callable[[Tokens], Tensor]) -> Callable[[Tokens], Tensor]:
        TERMS[loss.__name__] = Term(loss, student_logits, teacher_logits, teacher_hidden)
        return loss

    return register


@term(student_logits=True, teacher_logits=False)
def ce(tokens: Tokens) -> Tensor:
    """-log q(y): cross-entropy with the label y (the term with β in K2D's loss)."""
    from torch.nn import functional as F

    return F.cross_entropy(_softened(tokens.student_logits_NV, 1.0, tokens), tokens.targets_N, reduction="none")


@term(student_logits=True, teacher_logits=True)
def kl(tokens: Tokens) -> Tensor:
    """T² Σ_v p_T(v) log(p_T(v) / q_T(v)): from teacher p to student q, both at temperature T (γ in K2D's loss).

    Gradients of logits at temperature T shrink with 1/T² (Hinton et al., 2015), so T² keeps the weight of this term
    the same at every temperature.
    """
    from torch.nn import functional as F

    t = tokens.temperature
    # In fp32: bf16 has three significant digits at most, too few for log-probabilities over a large vocabulary.
    student = F.log_softmax(_softened(tokens.student_logits_NV, t, tokens), dim=-1)
    teacher = F.log_softmax(_softened(tokens.teacher_logits_NV, t, tokens), dim=-1)
    # log_softmax stays finite where a probability rounds to 0, so nothing here is 0 times infinity.
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1) * t**2


@term(student_logits=False, teacher_logits=False, teacher_hidden=True)
def hidden_mse(tokens: Tokens) -> Tensor:
    """|h_student - h_teacher|² / D: the last hidden states, which must be of one size (Distil-Whisper, eq. 10-12)."""
    difference = tokens.student_hidden_ND.float() - tokens.teacher_hidden_ND.float()
    return difference.square().mean(-1)


@term(student_logits=True, teacher_logits=True)
def dkd(tokens: Tokens) -> Tensor:
    """T² (α KL(b_p, b_q) + β KL(p̂, q̂)): decoupled distillation (Zhao et al., 2022).

    b is the label against everything else, p̂ the other tokens among themselves. KL(p, q) is the first part plus
    (1 - p(y)) times the second, so where the teacher is sure, plain KL hardly teaches how it ranks the other tokens.
    """
    import torch
    from torch.nn import functional as F

    t = tokens.temperature
    student = F.log_softmax(_softened(tokens.student_logits_NV, t, tokens), dim=-1)
    teacher = F.log_softmax(_softened(tokens.teacher_logits_NV, t, tokens), dim=-1)
    is_target_NV = F.one_hot(tokens.targets_N, student.shape[-1]).bool()

    def label_against_rest(log_probs_NV: Tensor) -> Tensor:
        label = log_probs_NV.masked_fill(~is_target_NV, -math.inf).logsumexp(-1)
        rest = log_probs_NV.masked_fill(is_target_NV, -math.inf).logsumexp(-1)
        return torch.stack([label, rest], dim=-1)

    def rest_alone(log_probs_NV: Tensor) -> Tensor:
        rest = log_probs_NV.masked_fill(is_target_NV, -math.inf)
        # The label's place would be -inf on both sides, and the gradient of -inf minus -inf is NaN: it is 0 here, and
        # masked again below.
        return (rest - rest.logsumexp(-1, keepdim=True)).masked_fill(is_target_NV, 0.0)

    label = F.kl_div(label_against_rest(student), label_against_rest(teacher), reduction="none", log_target=True)
    rest = F.kl_div(rest_alone(student), rest_alone(teacher), reduction="none", log_target=True)
    return (DKD_ALPHA * label.sum(-1) + DKD_BETA * rest.masked_fill(is_target_NV, 0.0).sum(-1)) * t**2


def _softened(logits_NV: Tensor, temperature: float, tokens: Tokens) -> Tensor:
    """Logits at a temperature. A logit that stands for n tokens z gets the weight of all: n exp(z) = exp(z + log n)."""
    softened_NV = logits_NV.float() if temperature == 1 else logits_NV.float() / temperature
    return softened_NV if tokens.log_counts_V is None else softened_NV + tokens.log_counts_V


CTC = "ctc"
"""The name of the only term on whole sequences. It needs a CTC head."""


def terms_with_teacher(weights: Mapping[str, float]) -> list[str]:
    """The terms of an objective for which the teacher's decoder has to run.

    >>> terms_with_teacher({"ce": 1.0, "kl": 0.0, "hidden_mse": 0.1, "ctc": 0.3})
    ['hidden_mse']
    """
    return [name for name, weight in weights.items() if weight > 0 and name in TERMS and TERMS[name].reads_teacher]


def term_names() -> tuple[str, ...]:
    """The names that `distill.objective` may give weights to."""
    return (*TERMS, CTC)


def ctc(log_probs_BTV: Tensor, labels: list[Tensor], blank_id: int) -> Tensor:
    """-log Σ_π Π_t q_t(π_t) over all alignments π of each label: the student's CTC head.

    Labels have no timestamps here, because CTC is trained without them.
    """
    import torch
    from torch.nn import functional as F

    n_frames = torch.full((len(labels),), log_probs_BTV.shape[1], dtype=torch.long)
    n_labels = torch.tensor([len(label) for label in labels], dtype=torch.long)
    return F.ctc_loss(
        log_probs_BTV.float().transpose(0, 1),
        torch.cat(labels),
        n_frames,
        n_labels,
        blank=blank_id,
        reduction="none",
        zero_infinity=True,  # a label that is longer than its audio allows has no alignment, and must not end the run
    )
