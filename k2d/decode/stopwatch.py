"""Measure how long decoding takes. The compared models take turns on the same audio, several times.

A machine's speed changes from minute to minute, through other programs and heat. Models that are timed in the same turn
run under the same conditions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from k2d.core.errors import K2DError
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.sources import Failed

if TYPE_CHECKING:
    from k2d.decode.options import Options
    from k2d.decode.search import IsLoop
    from k2d.decode.sources import Source
    from k2d.models.interface import Recogniser


@dataclass(frozen=True, slots=True)
class Timed:
    """A model, and the recordings with which its decoding is timed."""

    recogniser: Recogniser
    sources: Sequence[Source]
    options: Options
    is_loop: IsLoop | None = None


def measure_in_turn(
    timed: Mapping[str, Timed], n_runs: int, on_run: Callable[[], None] = lambda: None
) -> dict[str, list[float]]:
    """The seconds of every run by name. A first turn warms up the caches and does not count."""
    runs_s: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(n_runs + 1):
        for name, each in timed.items():
            runs_s[name].append(round(_run_s(each), 4))
            on_run()
    return {name: runs[1:] for name, runs in runs_s.items()}


def _run_s(timed: Timed) -> float:
    start = time.perf_counter()
    for result in decode_recordings(timed.recogniser, timed.sources, timed.options, is_loop=timed.is_loop):
        if isinstance(result, Failed):
            raise K2DError(f"{result.recording_id}: {result.detail}")
    if timed.recogniser.device.type == "cuda":
        import torch

        torch.cuda.synchronize(timed.recogniser.device)
    return time.perf_counter() - start
