"""Any recogniser from a folder, a file or a published name: the way in for stages and command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from k2d.faults import UsageError
from k2d.models.recogniser import Recogniser
from k2d.paths import shown

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}
FAMILIES = ("espnet_s2t", "whisper")


def load_recogniser(
    path: Path | str,
    *,
    family: str = "espnet_s2t",
    device: str = "cpu",
    precision: str = "fp32",
    languages: Sequence[str] = (),
    cache: str | None = None,
) -> Recogniser:
    """A trained recogniser, ready for inference; `languages` are in its prompt unless a request names others.

    `cache` is where a published Whisper (`path` is its name) is kept.
    """
    if family not in FAMILIES:
        raise UsageError(f"{path}: models of the family {family!r} cannot be read; {', '.join(FAMILIES)} can")
    if precision not in DTYPES:
        raise UsageError(f"precision {precision!r}: expected one of {', '.join(DTYPES)}")
    if precision == "fp16" and not device.startswith("cuda"):
        raise UsageError("precision fp16: for GPUs only; use fp32 or bf16")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {device}: no GPU can be used here; use cpu")
    if family == "whisper":
        from k2d.models.whisper_recogniser import load_whisper

        return load_whisper(path, languages, cache).to(device, DTYPES[precision])
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{shown(path)}: there is no such model; expected a model folder or a file of one")
    if len(languages) > 1:
        raise UsageError(f"an ESPnet S2T prompt takes one language, not {', '.join(languages)}")
    from k2d.models.espnet_s2t_loading import load_s2t

    return load_s2t(path, *languages).to(device, DTYPES[precision])
