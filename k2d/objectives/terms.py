"""The terms of a distillation loss. To add one: a function below, its name in TERMS, a test with a worked-out answer.

A term gets the tokens that carry loss, flattened to N (no padding, no prompt), and returns a loss for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

# Of decoupled distillation, as its paper has them for vocabularies of this kind.
DKD_ALPHA = 1.0
DKD_BETA = 1.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """What both decoders say at N places, and what was to be said."""

    targets_N: Tensor
    student_hidden_ND: Tensor
    student_logits_NV: Tensor
    teacher_hidden_ND: Tensor
    teacher_logits_NV: Tensor
    temperature: float


def ce(tokens: Tokens) -> Tensor:
    """Cross-entropy with the label."""
    return F.cross_entropy(tokens.student_logits_NV.float(), tokens.targets_N, reduction="none")


def kl(tokens: Tokens) -> Tensor:
    """KL divergence from teacher to student at a temperature, times its square so that gradients keep their size."""
    t = tokens.temperature
    student = F.log_softmax(tokens.student_logits_NV.float() / t, dim=-1)
    teacher = F.log_softmax(tokens.teacher_logits_NV.float() / t, dim=-1)
    return F.kl_div(student, teacher, reduction="none", log_target=True).sum(-1) * t**2


def hidden_mse(tokens: Tokens) -> Tensor:
    """Mean squared difference of the last hidden states, which must be of one size."""
    difference = tokens.student_hidden_ND.float() - tokens.teacher_hidden_ND.float()
    return difference.square().mean(-1)


def dkd(tokens: Tokens) -> Tensor:
    """Decoupled distillation (Zhao et al., 2022): how sure of the label, and how the rest is shared, apart.

    KL is the first part plus the second times the teacher's doubt; here the second does not fade where the teacher
    is sure.
    """
    t = tokens.temperature
    student = F.log_softmax(tokens.student_logits_NV.float() / t, dim=-1)
    teacher = F.log_softmax(tokens.teacher_logits_NV.float() / t, dim=-1)
    is_target = F.one_hot(tokens.targets_N, student.shape[-1]).bool()
    target = F.kl_div(_sure(student, is_target), _sure(teacher, is_target), reduction="none", log_target=True).sum(-1)
    rest = F.kl_div(_others(student, is_target), _others(teacher, is_target), reduction="none", log_target=True)
    return (DKD_ALPHA * target + DKD_BETA * rest.masked_fill(is_target, 0.0).sum(-1)) * t**2


def _sure(log_probs_NV: Tensor, is_target_NV: Tensor) -> Tensor:
    """Log-probabilities of the label and of everything else."""
    target = log_probs_NV.masked_fill(~is_target_NV, -torch.inf).logsumexp(-1)
    rest = log_probs_NV.masked_fill(is_target_NV, -torch.inf).logsumexp(-1)
    return torch.stack([target, rest], dim=-1)


def _others(log_probs_NV: Tensor, is_target_NV: Tensor) -> Tensor:
    """Log-probabilities of the other tokens among themselves; 0 in the label's place, which is masked again later."""
    rest = log_probs_NV.masked_fill(is_target_NV, -torch.inf)
    return (rest - rest.logsumexp(-1, keepdim=True)).masked_fill(is_target_NV, 0.0)


Term = Callable[[Tokens], Tensor]

TERMS: Mapping[str, Term] = {"ce": ce, "kl": kl, "hidden_mse": hidden_mse, "dkd": dkd}
"""By their names in the config (distill.objective)."""

NEEDS_LOGITS: Mapping[str, tuple[bool, bool]] = {
    "ce": (True, False),
    "kl": (True, True),
    "hidden_mse": (False, False),
    "dkd": (True, True),
}
"""Whether a term looks at the student's and at the teacher's logits: what nobody looks at is not computed."""


def ctc(log_probs_BTV: Tensor, labels: list[Tensor], blank_id: int) -> Tensor:
    """CTC loss of the student's CTC head on the labels without timestamps, summed over the batch.

    The one term that is about sequences: `distill.objective` names it `ctc`, and it needs a CTC head.
    """
    n_frames = torch.full((len(labels),), log_probs_BTV.shape[1], dtype=torch.long)
    n_labels = torch.tensor([len(label) for label in labels], dtype=torch.long)
    return F.ctc_loss(
        log_probs_BTV.float().transpose(0, 1),
        torch.cat(labels),
        n_frames,
        n_labels,
        blank=blank_id,
        reduction="sum",
        zero_infinity=True,
    )
