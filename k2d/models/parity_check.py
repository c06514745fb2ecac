"""A window of noise and what a model says to it: another that is said to be the same must give the same logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from k2d.models.interface import Memory, Recogniser, Request

_N_TOKENS = 8
_LOUDNESS = 0.1


@dataclass(frozen=True, slots=True)
class Trial:
    """What is asked: the same each time."""

    speech_BN: Tensor
    tokens_BL: Tensor
    """A prompt without timestamps, and the likeliest tokens after it that are no end."""
    n_prompt: int
    eos_id: int


@torch.inference_mode()
def trial_of(recogniser: Recogniser, languages: Sequence[str] = ()) -> Trial:
    """The question, which takes a model to ask: with its window, and tokens of its own."""
    generator = torch.Generator().manual_seed(0)
    speech_BN = _LOUDNESS * torch.randn(1, recogniser.window.n_samples, generator=generator)
    codec = recogniser.codec
    label, n_prompt = codec.label("", Request(tuple(languages[:1]), timestamps=False))
    memory, tokens = recogniser.encode(speech_BN.to(recogniser.device)), label[:n_prompt]
    for _ in range(_N_TOKENS):
        tokens.append(_likeliest(recogniser, memory, tokens))
    return Trial(speech_BN, torch.tensor([tokens]), n_prompt, codec.eos_id)


def _likeliest(recogniser: Recogniser, memory: Memory, tokens: Sequence[int]) -> int:
    logits_V = recogniser.logits(memory, torch.tensor([tokens], device=recogniser.device))[0, -1]
    logits_V[recogniser.codec.eos_id] = -torch.inf
    return int(logits_V.argmax())


@torch.inference_mode()
def answer(recogniser: Recogniser, trial: Trial) -> Tensor:
    """The logits_BLV of a recogniser."""
    device = recogniser.device
    return recogniser.logits(recogniser.encode(trial.speech_BN.to(device)), trial.tokens_BL.to(device)).float().cpu()
