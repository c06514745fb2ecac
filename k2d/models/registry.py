"""Any recogniser from a folder, a file or a published name: the way in for stages and command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from k2d.core.errors import UsageError
from k2d.core.layout import shown
from k2d.models.interface import Recogniser
from k2d.models.whisper.checkpoint_files import FACE_CONFIG, WEIGHTS
from k2d.models.whisper.dims import PUBLISHED

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}
_DEVICE = re.compile(r"cpu|cuda(:(?P<number>\d{1,4}))?")
FAMILIES = ("espnet_s2t", "whisper")


def load_recogniser(
    path: Path | str,
    *,
    family: str | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    languages: Sequence[str] = (),
    cache: str | None = None,
) -> Recogniser:
    """A trained recogniser, ready for inference; `languages` are in its prompt unless a request names others.

    Without a `family` it is told by what lies there. `cache` is where a published Whisper (`path` is its name) is kept.
    """
    _check_device(device)
    family = family or family_of(Path(path))
    if family not in FAMILIES:
        raise UsageError(f"{path}: models of the family {family!r} cannot be read; {', '.join(FAMILIES)} can")
    if precision not in DTYPES:
        raise UsageError(f"precision {precision!r}: expected one of {', '.join(DTYPES)}")
    if precision == "fp16" and not device.startswith("cuda"):
        raise UsageError("precision fp16: for GPUs only; use fp32 or bf16")
    if family == "whisper":
        from k2d.models.whisper.recogniser import load_whisper

        return load_whisper(path, languages, cache).to(device, DTYPES[precision])
    path = Path(path)
    if not path.exists():
        raise UsageError(f"{shown(path)}: there is no such model; expected a model folder or a file of one")
    if len(languages) > 1:
        raise UsageError(f"an ESPnet S2T prompt takes one language, not {', '.join(languages)}")
    from k2d.models.espnet_s2t.loading import load_s2t

    return load_s2t(path, *languages).to(device, DTYPES[precision])


def _check_device(device: str) -> None:
    """Raise unless torch can compute on it here."""
    if (known := _DEVICE.fullmatch(device)) is None:
        raise UsageError(f"device {device!r}: expected cpu, cuda or a numbered one such as cuda:1")
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise UsageError(f"device {device}: no GPU can be used here; use cpu")
    n_gpus = torch.cuda.device_count()
    if int(known["number"] or 0) >= n_gpus:
        raise UsageError(f"device {device}: found {n_gpus} GPUs here, cuda:0 to cuda:{n_gpus - 1}; use one of them")


def family_of(path: Path) -> str:
    """By the files of a model folder; a `.pt` and a published name are Whisper's."""
    if path.is_dir():
        return "whisper" if any((path / name).is_file() for name in (WEIGHTS, FACE_CONFIG)) else "espnet_s2t"
    return "whisper" if path.suffix == ".pt" or str(path) in PUBLISHED else "espnet_s2t"
