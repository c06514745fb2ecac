"""Export a Whisper network as a checkpoint of OpenAI's format, for `whisper.load_model`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from k2d.core.system_errors import reporting_full_disk
from k2d.export.equivalence import Agreement, agreement
from k2d.export.request import ExportRequest
from k2d.models.parity_check import Probe
from k2d.models.whisper.checkpoint_files import read_whisper


def write(model: Path, request: ExportRequest, folder: Path) -> None:
    """Write `<name>.pt`."""
    weights = read_whisper(model)
    state = {name: tensor.float() for name, tensor in weights.state.items()}
    target = checkpoint(folder, request.name)
    with reporting_full_disk(target):
        torch.save({"dims": weights.dims.as_dict(), "model_state_dict": state}, target)


def checkpoint(folder: Path, name: str) -> Path:
    return folder / f"{name}.pt"


def loaded_back(folder: Path, request: ExportRequest, probe: Probe, ours: Tensor) -> Agreement:
    """Load the file in openai-whisper and compare the logits."""
    import whisper

    with torch.inference_mode():
        network = whisper.load_model(str(checkpoint(folder, request.name)), device="cpu").eval()
        mel_BMT = whisper.log_mel_spectrogram(probe.speech_BN, n_mels=network.dims.n_mels)
        logits_BLV: Tensor = network(mel_BMT, probe.tokens_BL)
    return agreement("openai-whisper", ours, logits_BLV)
