"""Writes a model folder of the Whisper family: a checkpoint in OpenAI's format, and its settings for decoding."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from k2d.core.atomic import write_text
from k2d.core.system_errors import reporting_full_disk
from k2d.models.whisper.checkpoint import WhisperWeights
from k2d.models.whisper.checkpoint_files import PARAMETERS, RULES
from k2d.models.whisper.dims import WEIGHTS, n_parameters


def write_folder(folder: Path, weights: WhisperWeights) -> None:
    """Write a folder that `load_whisper` loads. The checkpoint comes last: without it, the folder is not a model."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = n_parameters(weights.dims)
    write_text(folder / PARAMETERS, json.dumps({"total": sum(counts.values()), **counts}, indent=1) + "\n")
    write_text(folder / RULES, json.dumps(weights.generation.as_dict()) + "\n")
    partial = folder / f".{WEIGHTS}.partial"
    # In float32: the text of a model that was rounded to fp16 could differ.
    state = {name: tensor.detach().to("cpu", torch.float32) for name, tensor in weights.state.items()}
    with reporting_full_disk(folder / WEIGHTS):
        torch.save({"dims": weights.dims.as_dict(), "model_state_dict": state}, partial)
    partial.replace(folder / WEIGHTS)
