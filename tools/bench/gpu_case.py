"""Measures one case of gpu.py in a separate process: gpu_case.py REQUEST.json RESULT.json, or gpu_case.py --devices

Each case has its own process, so all memory is freed and a failed case does not affect the others. Lightning starts the
second rank of a training by running this command again.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

from k2d.core.atomic import write_text
from k2d.core.ddp_children import follow_leader, is_first
from tools.bench.gpu_cases import Measuring
from tools.bench.gpu_peaks import peak_of


def main(words: list[str]) -> None:
    if words == ["--devices"]:
        print(json.dumps(devices()))
        return
    request, result = map(Path, words)
    warnings.filterwarnings("ignore")
    is_leader = is_first(os.environ)
    follow_leader()
    measured = carry_out(Measuring.from_json(request.read_text(encoding="utf-8")))
    if is_leader:
        write_text(result, json.dumps(measured))


def devices() -> dict[str, Any]:
    """Describe the machine for the record."""
    n_gpus = torch.cuda.device_count()
    return {
        "n_gpus": n_gpus,
        "gpu": torch.cuda.get_device_name(0) if n_gpus else None,
        "gpu_memory_bytes": torch.cuda.get_device_properties(0).total_memory if n_gpus else None,
        "cpu_cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def carry_out(measuring: Measuring) -> dict[str, Any]:
    """Measure, and return the figures or the reason why there are none."""
    passes: dict[str, Any] = {}
    try:
        device = "cpu" if measuring.device == "cpu" else torch.cuda.get_device_name(0)
        peak = peak_of(device, measuring.bandwidth, measuring.flops)
        if measuring.case.work == "labelling":
            from tools.bench.gpu_labelling import measure_labelling

            return {"status": "measured", **measure_labelling(measuring, peak)}
        from tools.bench.gpu_distillation import fewest_passes, measure_distillation  # Lightning takes seconds

        passes["accumulate"] = measuring.accumulate or fewest_passes(measuring)
        return {"status": "measured", **passes, **measure_distillation(measuring, passes["accumulate"], peak)}
    except torch.OutOfMemoryError as error:
        traceback.print_exc()  # the only output of a second rank that gpu.py can read
        return {"status": "out of memory", **passes, "detail": str(error).split(". ")[0]}
    except Exception as error:  # the other cases go on
        traceback.print_exc()
        return {"status": "failed", **passes, "detail": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main(sys.argv[1:])
