"""A model folder of the Whisper family: OpenAI's checkpoint, and what decides its decoding."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from k2d.core.atomic import write_text
from k2d.core.system_errors import reporting_full_disk
from k2d.models.whisper.checkpoint import WhisperWeights
from k2d.models.whisper.checkpoint_files import PARAMETERS, RULES
from k2d.models.whisper.dims import WEIGHTS, n_parameters


def write_folder(folder: Path, weights: WhisperWeights) -> None:
    """Write a folder that loads here; its checkpoint, without which it is no model, comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = n_parameters(weights.dims)
    write_text(folder / PARAMETERS, json.dumps({"total": sum(counts.values()), **counts}, indent=1) + "\n")
    write_text(folder / RULES, json.dumps(weights.generation.as_dict()) + "\n")
    partial = folder / f".{WEIGHTS}.partial"
    state = {name: _kept(tensor) for name, tensor in weights.state.items()}
    with reporting_full_disk(folder / WEIGHTS):
        torch.save({"dims": weights.dims.as_dict(), "model_state_dict": state}, partial)
    partial.replace(folder / WEIGHTS)


def _kept(tensor: Tensor) -> Tensor:
    """On the CPU, in float32: half of it would not give the same text."""
    return tensor.detach().to("cpu", torch.float32)
