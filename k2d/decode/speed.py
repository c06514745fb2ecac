"""How long decoding takes: the same audio several times over, after a warm-up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from k2d.decode.longform import decode_recordings
from k2d.decode.sources import Failed
from k2d.faults import K2DError

if TYPE_CHECKING:
    from k2d.decode.options import Options
    from k2d.decode.search import IsLoop
    from k2d.decode.sources import Source
    from k2d.models.recogniser import Recogniser


def measure(
    recogniser: Recogniser, sources: Sequence[Source], options: Options, is_loop: IsLoop | None, n_runs: int
) -> list[float]:
    """Seconds of every run; a first one, which warms caches up, does not count."""
    runs_s = []
    for _ in range(n_runs + 1):
        start = time.perf_counter()
        for result in decode_recordings(recogniser, sources, options, is_loop=is_loop):
            if isinstance(result, Failed):
                raise K2DError(f"{result.recording_id}: {result.detail}")
        if recogniser.device.type == "cuda":
            import torch

            torch.cuda.synchronize(recogniser.device)
        runs_s.append(round(time.perf_counter() - start, 4))
    return runs_s[1:]
