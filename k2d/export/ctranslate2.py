"""Export a Whisper network as a CTranslate2 folder for faster-whisper, with CTranslate2's own converter."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from k2d.core.errors import K2DError
from k2d.export import huggingface
from k2d.export.equivalence import TOLERANCE, Agreement, agreement
from k2d.export.request import ExportRequest, demand, quietly
from k2d.models.parity_check import Probe
from k2d.models.whisper.ctranslate2_engine import COMPUTE_TYPES, max_length

BESIDE = ("tokenizer.json", huggingface.FEATURES)  # files that faster-whisper reads beside the model


def write(model: Path, request: ExportRequest, folder: Path) -> None:
    """Write a temporary folder in Hugging Face's format and convert it."""
    demand("the format ctranslate2", "ctranslate2", "transformers")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as made:
        between = Path(made, "huggingface")
        between.mkdir()
        huggingface.write(model, request, between)
        converted = Path(made, "ctranslate2")
        _convert(between, converted, request)
        for path in [*converted.iterdir(), *(between / name for name in BESIDE)]:
            shutil.move(path, folder / path.name)


def _convert(source: Path, target: Path, request: ExportRequest) -> None:
    from ctranslate2.converters import TransformersConverter

    try:
        with quietly():
            TransformersConverter(str(source)).convert(str(target), quantization=COMPUTE_TYPES[request.compute_type])
    except Exception as error:  # any error of the converter
        raise K2DError(f"{request.name}: CTranslate2 cannot convert it: {type(error).__name__}: {error}") from error


def loaded_back(folder: Path, request: ExportRequest, probe: Probe, ours: Tensor) -> Agreement:
    """Load the folder in faster-whisper, decode, and compare the logits up to the first different token."""
    logits_LV = _their_logits(folder, request, probe)
    ours_LV = ours[0, probe.n_prompt - 1 :][: len(logits_LV)].clone()
    for each in (logits_LV, ours_LV):
        each[:, probe.eos_id] = 0.0
    is_exact = request.compute_type == "fp32"
    return agreement("faster-whisper", ours_LV, logits_LV, TOLERANCE if is_exact else None)


def _their_logits(folder: Path, request: ExportRequest, probe: Probe) -> Tensor:
    """The logits of the tokens up to and including the first that differs from ours."""
    import ctranslate2
    from faster_whisper import WhisperModel

    prompt, said = probe.tokens_BL[0, : probe.n_prompt].tolist(), probe.tokens_BL[0, probe.n_prompt :].tolist()
    try:
        loaded = WhisperModel(str(folder), device="cpu", compute_type="default", local_files_only=True)
    except Exception as error:  # any error of its readers
        raise K2DError(f"{request.name}: faster-whisper cannot load it: {type(error).__name__}: {error}") from error
    features_MT = loaded.feature_extractor(probe.speech_BN[0].numpy(), padding=0)
    result = loaded.model.generate(
        ctranslate2.StorageView.from_array(features_MT[None]),
        [prompt],
        beam_size=1,
        max_length=max_length(len(said), len(prompt)),
        suppress_blank=False,
        suppress_tokens=[probe.eos_id],
        return_logits_vocab=True,
    )[0]
    same = [mine == theirs for mine, theirs in zip(said, result.sequences_ids[0], strict=False)]
    n_same = same.index(False) if False in same else len(same)
    return torch.stack([torch.from_numpy(np.array(step)) for step in result.logits[0][: n_same + 1]]).float()
