"""The limits of GPUs: bytes that they read and operations that they perform per second. Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from k2d.plan.machines import MACHINES

DECODING_GOAL, TRAINING_GOAL = 0.30, 0.40
"""This project's goals: shares of the bandwidth and of the operations per second."""


@dataclass(frozen=True, slots=True)
class Peak:
    """The limits of one device. None: unknown."""

    name: str
    bytes_per_s: float | None
    flops_per_s: float | None
    """In bf16, in dense matrix products."""
    source: str


def _planned(name: str) -> Peak:
    machine = MACHINES[name]
    return Peak(name, machine.bytes_per_s, machine.flops_per_s["bf16"], machine.source)


_SHEET = "NVIDIA's data sheet"

_BY_NAME: tuple[tuple[str, Peak], ...] = (
    (r"H200 NVL", Peak("h200-nvl", 4.8e12, 835e12, f"{_SHEET}, NVL")),
    (r"H200", _planned("h200")),
    (r"H100 NVL", Peak("h100-nvl", 3.9e12, 835e12, f"{_SHEET}, NVL")),
    (r"H100 PCIe", Peak("h100-pcie", 2.0e12, 756e12, f"{_SHEET}, PCIe")),
    (r"H100", _planned("h100")),
    (r"A100 80GB PCIe", Peak("a100-pcie", 1.935e12, 312e12, f"{_SHEET}, PCIe 80 GB")),
    (r"A100.*40GB", _planned("a100-40")),
    (r"A100", _planned("a100")),
    (r"L40S", _planned("l40s")),
    (r"RTX 4090(?! D| Laptop)", _planned("rtx4090")),
)
"""By patterns for the name that the driver reports. The first match is used."""


def peak_of(device: str, bytes_per_s: float | None = None, flops_per_s: float | None = None) -> Peak:
    """The limits of a device by its name. Given limits replace those of the table.

    >>> peak_of("NVIDIA H100 80GB HBM3").name, peak_of("NVIDIA H100 PCIe").bytes_per_s
    ('h100', 2000000000000.0)
    >>> peak_of("another", flops_per_s=1e12)
    Peak(name='another', bytes_per_s=None, flops_per_s=1000000000000.0, source='--flops')
    """
    unknown = Peak(device, None, None, "")
    found = next((peak for pattern, peak in _BY_NAME if re.search(pattern, device, re.IGNORECASE)), unknown)
    given = [name for name, value in (("--bandwidth", bytes_per_s), ("--flops", flops_per_s)) if value is not None]
    return Peak(
        found.name,
        found.bytes_per_s if bytes_per_s is None else bytes_per_s,
        found.flops_per_s if flops_per_s is None else flops_per_s,
        ", ".join([*filter(None, [found.source]), *given]) or "not in the table; give --bandwidth and --flops",
    )
