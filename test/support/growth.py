"""How the work of a function grows with its input, measured so that it also works on a busy machine."""

from __future__ import annotations

import time
from collections.abc import Callable

TIMES = 32


def grows_linearly(work: Callable[[int], object], n: int) -> bool:
    """Whether 32 times the input takes far less than 160 times the processor's time.

    Linear work takes 32 times as much (64 where the caches are too small for it), and quadratic work 1,024 times as
    much. So other processes would have to slow down each of the large runs and none of the small ones. Operations
    cannot be counted here, as most of them are in C: regular expressions, and moves within lists.
    """
    work(n)  # what is loaded at the first call is not counted
    limit_s = 5 * TIMES * min(_seconds(work, n) for _ in range(5))
    return any(_seconds(work, TIMES * n) < limit_s for _ in range(3))


def _seconds(work: Callable[[int], object], n: int) -> float:
    start = time.process_time()
    work(n)
    return time.process_time() - start
