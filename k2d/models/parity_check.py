"""A probe for two forms of one model: with the same noise and tokens, both must give the same logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from k2d.models.interface import Memory, Recogniser, Request

_N_TOKENS = 8
_LOUDNESS = 0.1


@dataclass(frozen=True, slots=True)
class Probe:
    """The input of the comparison, the same for both forms."""

    speech_BN: Tensor
    tokens_BL: Tensor
    """A prompt without timestamps, and the likeliest tokens after it other than the end."""
    n_prompt: int
    eos_id: int


@torch.inference_mode()
def make_probe(recogniser: Recogniser, languages: Sequence[str] = ()) -> Probe:
    """Make a probe with the window of a model, and with tokens that the model itself finds likely."""
    generator = torch.Generator().manual_seed(0)
    speech_BN = _LOUDNESS * torch.randn(1, recogniser.window.n_samples, generator=generator)
    codec = recogniser.codec
    label, n_prompt = codec.label("", Request(tuple(languages[:1]), timestamps=False))
    memory, tokens = recogniser.encode(speech_BN.to(recogniser.device)), label[:n_prompt]
    for _ in range(_N_TOKENS):
        tokens.append(_likeliest(recogniser, memory, tokens))
    return Probe(speech_BN, torch.tensor([tokens]), n_prompt, codec.eos_id)


def _likeliest(recogniser: Recogniser, memory: Memory, tokens: Sequence[int]) -> int:
    logits_V = recogniser.logits(memory, torch.tensor([tokens], device=recogniser.device))[0, -1]
    logits_V[recogniser.codec.eos_id] = -torch.inf
    return int(logits_V.argmax())


@torch.inference_mode()
def probe_logits(recogniser: Recogniser, probe: Probe) -> Tensor:
    """The logits_BLV of a recogniser on a probe, in float32 on the CPU."""
    device = recogniser.device
    return recogniser.logits(recogniser.encode(probe.speech_BN.to(device)), probe.tokens_BL.to(device)).float().cpu()
