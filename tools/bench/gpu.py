"""Measures labelling and distillation of Whisper on a GPU: speed, share of the device's limits, and memory.

    tools/bench/gpu.sh [--checkpoint FILE] [--profile] [--output gpu.json]

The models are Whisper base (real weights if they are in the cache, can be fetched, or are given by --checkpoint) and a
Whisper of large-v2's shape (random weights), in bf16 with 64 windows.

- Labelling: the decoder of stage 5 on long recordings of noise. Each window is forced to 150 tokens, because random
  weights never end a window.
- Distillation: steps of stage 10 (0.8 ce + kl, student with two decoder layers, labels of 150 tokens), with and without
  kept outputs of the teacher, and on the vocabulary in use. With two GPUs, also with two ranks.

If a batch does not fit, labelling halves it and distillation doubles the backward passes. Each case runs in a process
of its own. After each case, all results so far are written. The measured memory is compared with the plan's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text
from k2d.core.programs import Programs
from tools.bench.gpu_cases import SIZES, SMALL, Case, Measuring, cases_of
from tools.bench.gpu_peaks import DECODING_GOAL, TRAINING_GOAL, peak_of
from tools.bench.gpu_table import kernels, table

HERE = Path(__file__).parent
NEEDED = {
    **{name: name for name in ("torch", "numpy", "lightning", "pydantic", "safetensors", "soundfile", "soxr")},
    "whisper": "openai-whisper",
    "yaml": "pyyaml",
}
"""Packages by the names of their modules."""
PROBE_LIMIT_S, FETCH_LIMIT_S = 60.0, 30.0
LOADING_S = 60.0
"""The time that a case may need before and after measuring."""
OUT_OF_MEMORY = "OutOfMemoryError"
LEAST_S = 15.0
"""A case is not started if less time is left."""


def main() -> int:
    options = parse_options()
    if missing := [package for name, package in NEEDED.items() if importlib.util.find_spec(name) is None]:
        print(f"gpu.py: {sys.executable} lacks {', '.join(missing)}; install them all:", file=sys.stderr)
        print(f"  {sys.executable} -m pip install {' '.join(missing)}", file=sys.stderr)
        print("without a network: see 'On a GPU' in docs/training.md", file=sys.stderr)
        return 2
    run = Run(options, time.monotonic() + 60 * options.minutes)
    devices = run.devices()
    if options.device == "cuda" and not devices["n_gpus"]:
        print("gpu.py: torch finds no GPU here; --device cpu --size small-test tries the benchmark", file=sys.stderr)
        return 2
    checkpoint = options.checkpoint or (run.published_base() if "base" in options.size else None)
    n_gpus = devices["n_gpus"] if options.device == "cuda" else 0
    every = cases_of(options.size, n_gpus)
    cases = [case for case in every if any(text in case.name for text in options.only)]
    if not cases:
        print(f"gpu.py: no case has {' or '.join(options.only)} in its name; there are:", file=sys.stderr)
        print(*(f"  {case.name}" for case in every), sep="\n", file=sys.stderr)
        return 2
    peak = peak_of(devices["gpu"] or "cpu", options.bandwidth, options.flops)
    result: dict[str, Any] = {
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "devices": devices,
        "peak": {"name": peak.name, "bytes_per_s": peak.bytes_per_s, "flops_per_s": peak.flops_per_s}
        | {"source": peak.source},
        "goals": {"share_of_bandwidth": DECODING_GOAL, "share_of_flops": TRAINING_GOAL},
        "cases": [],
    }
    print(f"{devices['gpu'] or 'CPU'}, torch {devices['torch']}; limits: {_shown_peak(result['peak'])}", flush=True)
    for measured in run.all_cases(cases, checkpoint):
        result["cases"].append(measured)
        write_text(options.output, json.dumps(result, indent=2) + "\n")
        detail = f": {measured['detail']}" if measured.get("detail") else ""
        print(f"{measured['name']}: {measured['status']} after {measured['took_s']:.0f} s{detail}", flush=True)
    print(f"\n{table(result['cases'])}", *kernels(result["cases"]), sep="\n")
    print(f"\nwritten to {options.output}")
    return int(any(case["status"] == "failed" for case in result["cases"]))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("gpu.json"), help="results (default: gpu.json)")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything (default: 9)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of measuring, for each case (default: 20)")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument(
        "--size", nargs="+", choices=list(SIZES), default=[name for name in SIZES if name != SMALL], metavar="SIZE"
    )
    parser.add_argument("--only", nargs="+", default=[""], metavar="TEXT", help="cases with one of these in their name")
    parser.add_argument("--batch-size", type=int, default=64, help="windows (default: 64)")
    parser.add_argument("--accumulate", type=int, help="backward passes per step (default: as the plan of memory says)")
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--checkpoint", help="of Whisper base: a .pt, or a folder of Hugging Face or CTranslate2")
    parser.add_argument("--bandwidth", type=float, help="bytes per second that the device reads at most")
    parser.add_argument("--flops", type=float, help="operations per second of the device at most, in this precision")
    parser.add_argument("--profile", action="store_true", help="the ten kernels of each case that take longest")
    return parser.parse_args()


def _shown_peak(peak: dict[str, Any]) -> str:
    read, made = peak["bytes_per_s"], peak["flops_per_s"]
    shown_read = "bandwidth unknown" if read is None else f"{read / 1e12:g} TB/s"
    shown_made = "operations unknown" if made is None else f"{made / 1e12:g} TFLOP/s"
    return f"{shown_read}, {shown_made} ({peak['source']})"


@dataclass
class Run:
    """All cases, one after another, until the time is over."""

    options: argparse.Namespace
    until: float

    def devices(self) -> dict[str, Any]:
        """Describe the machine. Torch is imported in another process, which frees the GPU when it ends."""
        done = Programs().run([sys.executable, str(HERE / "gpu_case.py"), "--devices"], PROBE_LIMIT_S)
        if done.returncode:
            raise SystemExit(f"gpu.py: torch does not start here:\n{done.stderr.decode(errors='replace')}")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def published_base(self) -> str | None:
        """The checkpoint of Whisper base, from the cache or fetched. None if it cannot be fetched in a short time."""
        fetch = "from k2d.models.whisper.family import FAMILY; print(FAMILY.fetched(Path('base')))"
        try:
            done = Programs().run([sys.executable, "-c", f"from pathlib import Path; {fetch}"], FETCH_LIMIT_S)
        except subprocess.TimeoutExpired:
            done = None
        if done is not None and not done.returncode:
            return done.stdout.decode().splitlines()[-1]
        print("Whisper base: its weights cannot be fetched, random weights are used (give them by --checkpoint)")
        return None

    def all_cases(self, cases: Sequence[Case], checkpoint: str | None) -> Iterator[dict[str, Any]]:
        """Yield the measurements of each case, or the reason why there are none."""
        for number, case in enumerate(cases):
            began = time.monotonic()
            measuring = self._plan(case, checkpoint if case.size == "base" else None, len(cases) - number)
            found = {"status": "out of time", "detail": "not started"} if measuring is None else {}
            tried: list[str] = []
            while measuring is not None and (not found or found["status"] == "out of memory"):
                found = self._measure(measuring)
                if found["status"] == "out of memory":
                    passes = measuring.accumulate or found.get("accumulate")
                    tried.append(f"batch {measuring.batch_size}" + (f" in {passes} passes" if passes else ""))
                    smaller = _smaller(measuring, found)
                    if smaller is None or self.until - time.monotonic() < LEAST_S:
                        break
                    measuring = smaller
            yield {
                "name": case.name,
                "work": case.work,
                "size": case.size,
                "weights": "real" if checkpoint is not None and case.size == "base" else "random",
                "keep_encoded": case.keep_encoded,
                "in_use": case.in_use,
                "n_ranks": case.n_ranks,
                "batch_size": self.options.batch_size if measuring is None else measuring.batch_size,
                "precision": self.options.precision,
                "did_not_fit": tried,
                "took_s": time.monotonic() - began,
                **found,
            }

    def _plan(self, case: Case, checkpoint: str | None, n_left: int) -> Measuring | None:
        """The case with its share of the time that is left. None if too little time is left."""
        left = self.until - time.monotonic()
        if left < LEAST_S:
            return None
        options = self.options
        return Measuring(
            case=case,
            device=options.device,
            batch_size=options.batch_size,
            accumulate=options.accumulate,
            precision=options.precision,
            seconds=min(options.seconds, left / n_left / 2),
            checkpoint=checkpoint,
            bandwidth=options.bandwidth,
            flops=options.flops,
            has_profile=options.profile,
        )

    def _measure(self, measuring: Measuring) -> dict[str, Any]:
        """Measure in a separate process, which is killed if it takes too long."""
        limit_s = self.until - time.monotonic()
        if measuring.device != "cpu":  # on a CPU, which only tests the benchmark, it may be slow
            limit_s = min(limit_s, measuring.seconds + LOADING_S * (1 + measuring.has_profile))
        with tempfile.TemporaryDirectory(prefix="k2d-bench-") as name:
            request, result = Path(name) / "request.json", Path(name) / "result.json"
            request.write_text(measuring.to_json(), encoding="utf-8")
            try:
                words = [sys.executable, str(HERE / "gpu_case.py"), str(request), str(result)]
                done = Programs().run(words, max(limit_s, 1.0))
            except subprocess.TimeoutExpired:
                return {"status": "out of time", "detail": f"stopped after {limit_s:.0f} s"}
            errors = done.stderr.decode(errors="replace")
            found: dict[str, Any] = {"status": "failed", "detail": f"exit code {done.returncode}: {errors[-500:]}"}
            if result.is_file():
                found = json.loads(result.read_text(encoding="utf-8"))
        if (
            found["status"] == "failed" and OUT_OF_MEMORY in errors
        ):  # of a second rank: the first one reports only that it ended
            return {**found, "status": "out of memory"}
        if found["status"] == "failed":
            print(errors, file=sys.stderr)
        return found


def _smaller(measuring: Measuring, found: dict[str, Any]) -> Measuring | None:
    """The same case with less memory. None if it is already as small as possible."""
    if measuring.case.work == "labelling":
        half = measuring.batch_size // 2
        return replace(measuring, batch_size=half) if half else None
    passes = 2 * (measuring.accumulate or found.get("accumulate") or 1)
    return replace(measuring, accumulate=passes) if passes <= measuring.batch_size else None


if __name__ == "__main__":
    sys.exit(main())
