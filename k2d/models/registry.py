"""The families of recognisers, one per line, and a function that loads any recogniser by its path."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from k2d.core.errors import UsageError
from k2d.models.family import Family

if TYPE_CHECKING:
    from k2d.models.interface import Recogniser
    from k2d.models.shape import Shape

_MODULES = (
    "k2d.models.espnet_s2t.family",
    "k2d.models.whisper.family",
)
FAMILIES: dict[str, Family] = {each.name: each for each in (importlib.import_module(m).FAMILY for m in _MODULES)}
"""By their names in configs. The first one is used if a recogniser names none."""
DEFAULT_FAMILY = next(iter(FAMILIES))

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp64": "float64"}
"""Torch's names of the precisions."""
_DEVICE = re.compile(r"cpu|cuda(:(?P<number>\d{1,4}))?")


def load_recogniser(
    path: Path | str,
    *,
    family: str | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    languages: Sequence[str] = (),
    cache: str | None = None,
) -> Recogniser:
    """A trained recogniser, ready for inference. `languages` are in its prompt unless a request names others.

    Without a `family`, the family is recognised by the files or the name. Published checkpoints are kept in `cache`.
    """
    import torch

    _check_device(device)
    if family is not None and family not in FAMILIES:
        raise UsageError(f"{path}: models of the family {family!r} cannot be read; {', '.join(FAMILIES)} can")
    if precision not in DTYPES:
        raise UsageError(f"precision {precision!r}: expected one of {', '.join(DTYPES)}")
    if precision == "fp16" and not device.startswith("cuda"):
        raise UsageError("precision fp16: for GPUs only; use fp32 or bf16")
    found = family_of(Path(path)) if family is None else FAMILIES[family]
    return found.load(Path(path), device, getattr(torch, DTYPES[precision]), languages, cache)


def _check_device(device: str) -> None:
    """Raise if torch cannot compute on this device here."""
    import torch

    if (known := _DEVICE.fullmatch(device)) is None:
        raise UsageError(f"device {device!r}: expected cpu, cuda or a numbered one such as cuda:1")
    if device == "cpu":
        return
    if not torch.cuda.is_available():
        raise UsageError(f"device {device}: no GPU can be used here; use cpu")
    n_gpus = torch.cuda.device_count()
    if int(known["number"] or 0) >= n_gpus:
        raise UsageError(f"device {device}: found {n_gpus} GPUs here, cuda:0 to cuda:{n_gpus - 1}; use one of them")


def family_of(path: Path) -> Family:
    """The family that recognises a checkpoint. If there is none, the default family, which reports what is missing."""
    return next((family for family in reversed(FAMILIES.values()) if family.recognises(path)), FAMILIES[DEFAULT_FAMILY])


def published_shape(name: str) -> Shape:
    """The sizes of a published checkpoint."""
    return family_of(Path(name)).shape(Path(name), vocabulary_size=0)


def families_of_engine(engine: str) -> list[str]:
    """The names of the families that an engine runs."""
    return [name for name, family in FAMILIES.items() if engine in family.engines]
