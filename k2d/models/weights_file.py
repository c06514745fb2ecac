"""Load files of weights safely, and check them against their network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from k2d.core.errors import K2DError
from k2d.core.layout import shown

_LISTED = 5


def read_torch_file(path: Path, *, is_mapped: bool = False) -> Any:
    """Load tensors and plain data only. A file with other content could run code.

    `is_mapped`: tensors are read when they are used.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    except FileNotFoundError:
        raise K2DError(f"{shown(path)}: there is no such file of weights") from None
    except Exception as error:  # any error of torch's readers
        if type(error).__name__ == "UnpicklingError":
            reason = "it holds more than weights, and such files can run code; have it saved as a plain state dict"
        else:
            reason = "truncated, or not written by torch.save; copy or make it again"
        raise K2DError(f"{shown(path)}: cannot be read as weights: {reason}") from error


def check_weights(state: Mapping[str, Tensor], expected: Mapping[str, Sequence[int]], where: str, config: str) -> None:
    """Refuse weights that differ from the config's network (names and shapes), or that are not finite."""
    check_shapes({name: tensor.shape for name, tensor in state.items()}, expected, where, config)
    if bad := _listed("with NaN or infinity", [n for n, t in state.items() if not _is_finite(t)]):
        raise K2DError(f"{where}: broken weights: {bad}; take another checkpoint")


def _is_finite(tensor: Tensor) -> bool:
    """By the least and the largest number, which are NaN if any is: twenty times faster than a look at each."""
    if not tensor.numel() or not tensor.is_floating_point():
        return True
    return bool(torch.stack(torch.aminmax(tensor)).isfinite().all())


def check_shapes(
    found: Mapping[str, Sequence[int]], expected: Mapping[str, Sequence[int]], where: str, config: str
) -> None:
    """Refuse weights whose names and shapes differ from the config's network."""
    shapes = [
        f"{name} {tuple(found[name])} instead of {tuple(expected[name])}"
        for name in expected
        if name in found and tuple(found[name]) != tuple(expected[name])
    ]
    problems = [
        _listed("missing", [name for name in expected if name not in found]),
        _listed("unexpected", [name for name in found if name not in expected]),
        _listed("of another shape", shapes),
    ]
    if told := "; ".join(filter(None, problems)):
        raise K2DError(f"{where}: not the weights of {config}: {told}; put the files of one model together")


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = ", …" if len(names) > _LISTED else ""
    return f"{len(names)} {what} ({', '.join(names[:_LISTED])}{more})"
