"""The peak performance of machines, and the share of it that is usually reached. Every number has its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Machine:
    """A device. Operations are counted in dense matrix products."""

    name: str
    memory_bytes: float | None
    """None: as much as the machine has on which the plan is made."""
    flops_per_s: Mapping[str, float]
    """Operations per second by precision."""
    bytes_per_s: float
    source: str
    compute_share: float
    """The share of peak operations that encoders and training reach."""
    read_share: float
    """The share of peak memory bandwidth that decoding token by token reaches."""
    is_gpu: bool = True


TRAINING_SHARE = 0.40
DECODING_SHARE = 0.09

SHARES_SOURCE = {
    "compute": "what large models reach in bf16 when they are trained well (38 to 43 %: Llama 3, arXiv 2407.21783); "
    "not measured with this toolkit",
    "read": "64.5 times real time for large-v2 (Open ASR leaderboard, long-form, 2026-03, transformers; its GPU is not "
    "stated, taken for an A100), of 714 that an A100's memory allows at batch 64; not measured with this toolkit",
    "cpu": "one core of a shared x86-64 machine, measured: a matrix product of 1500 x 512 x 2048, a sum over 256 MB; "
    "half of each is taken",
}


def _gpu(name: str, memory_mib: int, bf16_t: float, fp32_t: float, tb_per_s: float, source: str) -> Machine:
    flops = {"bf16": bf16_t * 1e12, "fp16": bf16_t * 1e12, "fp32": fp32_t * 1e12}
    source = f"{source}; memory as reported by its driver"
    return Machine(name, memory_mib << 20, flops, tb_per_s * 1e12, source, TRAINING_SHARE, DECODING_SHARE)


_SHEET = "NVIDIA's data sheet"

MACHINES: Mapping[str, Machine] = {
    machine.name: machine
    for machine in (
        _gpu("h200", 143_771, 989, 67, 4.8, f"{_SHEET}, SXM"),
        _gpu("h100", 81_559, 989, 67, 3.35, f"{_SHEET}, SXM5"),
        _gpu("a100", 81_920, 312, 19.5, 2.04, f"{_SHEET}, SXM4 80 GB"),
        _gpu("a100-40", 40_960, 312, 19.5, 1.555, f"{_SHEET}, SXM4 40 GB"),
        _gpu("l40s", 46_068, 362, 91.6, 0.864, _SHEET),
        _gpu("rtx4090", 24_564, 165, 82.6, 1.008, "NVIDIA's Ada whitepaper"),
        Machine(
            "cpu", None, dict.fromkeys(("fp32", "bf16", "fp16"), 66e9), 6.9e9, "of one core", 0.5, 0.5, is_gpu=False
        ),
    )
}
"""`cpu` is one core; `--gpus` is the number of cores."""
