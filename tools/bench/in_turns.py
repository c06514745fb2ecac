"""Time several ways of doing the same, turn by turn, so that other load on the machine meets all of them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Result = TypeVar("Result")


def timed_in_turns(
    ways: Mapping[str, Callable[[], Result]],
    n_turns: int,
    *,
    n_warm_turns: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[dict[str, list[float]], dict[str, Result]]:
    """The seconds of each way in each turn, after turns to warm up, and the last result of each way."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, Result] = {}
    for turn in range(n_warm_turns + n_turns):
        for name, way in ways.items():
            start = clock()
            found[name] = way()
            if turn >= n_warm_turns:
                times[name].append(clock() - start)
    return times, found


def clock_of(options: argparse.Namespace) -> Callable[[], float]:
    """Processor time if `--processor-time` is given, for a machine that is busy; otherwise wall-clock time."""
    return time.process_time if options.processor_time else time.perf_counter
