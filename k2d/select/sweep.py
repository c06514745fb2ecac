"""Print how much data each distance would keep at each α. Reads the distances that stage 8 has written."""

from __future__ import annotations

import argparse
import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from k2d.config.load import load_config, resolve_conf
from k2d.core.errors import MissingInput, UsageError
from k2d.core.layout import experiment_layout, shown
from k2d.select.chunk_row import ChunkRow
from k2d.select.metrics import METRICS
from k2d.select.record import RunningTotal
from k2d.select.table_files import DISTANCES, read_distances

_MOST_STEPS = 1000


def main(argv: Sequence[str]) -> int:
    """Print a table for each auxiliary of the experiment."""
    parser = argparse.ArgumentParser(prog="python -m k2d select", description=__doc__, allow_abbrev=False)
    parser.add_argument("--sweep", required=True, metavar="FROM:TO:STEP", help="values of α, such as 0.1:0.9:0.1")
    parser.add_argument("--conf", default="conf/mini.yaml", metavar="FILE", help="experiment (default: conf/mini.yaml)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings to change, such as name=other")
    options = parser.parse_args(argv)
    alphas = alphas_of(options.sweep)
    config = load_config(resolve_conf(options.conf), options.overrides)
    if not config.auxiliaries:
        raise UsageError(f"{options.conf}: auxiliaries is empty, so there are no distances to sweep over")
    layout = experiment_layout(config.data, config.exp, config.name)
    for number, auxiliary in enumerate(config.auxiliaries):
        print(end="\n" if number else "")
        path = layout.distances(auxiliary) / DISTANCES
        if not path.is_file():
            raise MissingInput(f"{shown(path)} is missing; run stage 8 first: ./run.sh --stage 8 --stop-stage 8")
        print("\n".join(_table(auxiliary, sweep(read_distances(path), alphas))))
    return 0


def alphas_of(text: str) -> list[float]:
    """The values from:to:step, both ends included.

    >>> alphas_of("0.1:0.9:0.1")
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    """
    try:
        first, last, step = map(Decimal, text.split(":"))
    except (ValueError, InvalidOperation):
        raise UsageError(f"--sweep: found {text!r}, expected FROM:TO:STEP, such as 0.1:0.9:0.1") from None
    if not all(map(math.isfinite, (first, last, step))) or not (0 <= first <= last < 1 and step > 0):
        raise UsageError(f"--sweep: found {text!r}, expected 0 <= FROM <= TO < 1 and STEP above 0")
    n_steps = int((last - first) / step) + 1
    if n_steps > _MOST_STEPS:
        raise UsageError(f"--sweep: found {n_steps:,} values of α, expected at most {_MOST_STEPS:,}")
    return [float(first + step * number) for number in range(n_steps)]


@dataclass
class Sweep:
    """The totals, and the amounts that each metric would keep at each α."""

    alphas: Sequence[float]
    total: RunningTotal = field(default_factory=RunningTotal)
    empty_teacher: RunningTotal = field(default_factory=RunningTotal)
    kept: dict[str, list[RunningTotal]] = field(default_factory=dict)


def sweep(rows: Iterable[ChunkRow], alphas: Sequence[float]) -> Sweep:
    """Read the rows once. Each counts for the first α that keeps it, and so for all later ones."""
    found = Sweep(alphas)
    first_kept = {metric: [RunningTotal() for _ in range(len(alphas) + 1)] for metric in METRICS}
    for row in rows:
        found.total.add(row.duration_s)
        if row.distances.n_a == 0:
            found.empty_teacher.add(row.duration_s)
            continue
        for metric in METRICS:
            first_kept[metric][bisect_left(alphas, row.distances[metric])].add(row.duration_s)
    found.kept = {metric: list(_sums(amounts[:-1])) for metric, amounts in first_kept.items()}
    return found


def _sums(amounts: Iterable[RunningTotal]) -> Iterator[RunningTotal]:
    total = RunningTotal()
    for amount in amounts:
        total = RunningTotal(total.n_chunks + amount.n_chunks, total.duration_ms + amount.duration_ms)
        yield total


def _table(auxiliary: str, found: Sweep) -> Iterator[str]:
    """The sweep as text: share of the chunks, and hours."""
    total = found.total
    yield f"auxiliary {auxiliary}: {total.n_chunks:,} chunks, {total.hours:,.2f} h; kept, by distance and α"
    if found.empty_teacher.n_chunks:
        yield f"(empty labels, never kept: {found.empty_teacher.n_chunks:,})"
    yield "alpha" + "".join(f"{metric:>24}" for metric in METRICS)
    for number, alpha in enumerate(found.alphas):
        yield f"{alpha:<5g}" + "".join(f"{_cell(found.kept[metric][number], total):>24}" for metric in METRICS)


def _cell(kept: RunningTotal, total: RunningTotal) -> str:
    share = 100 * kept.n_chunks / total.n_chunks if total.n_chunks else 0.0
    return f"{kept.n_chunks:,}  {share:.1f} %  {kept.hours:,.2f} h"
