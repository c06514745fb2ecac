"""Formats the results of a run on a GPU as a table. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from k2d.plan.machines import GIB
from tools.bench.gpu_peaks import DECODING_GOAL, TRAINING_GOAL

HEAD = ("case", "weights", "batch", "hours of audio per hour", "of the limit", "goal", "memory, GiB", "planned, GiB")


def table(cases: Iterable[Mapping[str, Any]]) -> str:
    """A Markdown table, a line for each case."""
    rows = [HEAD, *map(_row, cases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    cells = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "|".join(["", *("-" * (width + 2) for width in widths), ""]))
    return "\n".join(lines)


def _row(case: Mapping[str, Any]) -> tuple[str, ...]:
    batch = str(case["batch_size"]) + (f" in {n} passes" if (n := case.get("accumulate") or 1) > 1 else "")
    if case["status"] != "measured":
        return (case["name"], case["weights"], batch, case["status"], *[""] * (len(HEAD) - 4))
    is_labelling = case["work"] == "labelling"
    reached = case["share_of_bandwidth" if is_labelling else "share_of_flops"]
    return (
        case["name"],
        case["weights"],
        batch,
        f"{case['hours_per_hour']:,.1f}",
        "unknown" if reached is None else f"{reached:.1%} of {'bandwidth' if is_labelling else 'operations'}",
        f"{DECODING_GOAL if is_labelling else TRAINING_GOAL:.0%}",
        _gib(case["peak_memory_bytes"]),
        _gib(case["planned_memory_bytes"]),
    )


def _gib(n_bytes: int | None) -> str:
    return "not measured" if n_bytes is None else f"{n_bytes / GIB:.2f}"


def kernels(cases: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield lines with the kernels of each profiled case, the slowest first."""
    for case in cases:
        if found := case.get("kernels"):
            yield f"\n{case['name']}:"
            yield from (
                f"  {each['share']:6.1%} {each['ms']:9.2f} ms {each['calls']:6}× {each['name']}" for each in found
            )
