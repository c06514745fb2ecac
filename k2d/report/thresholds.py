"""Read distances.tsv: how much each threshold would keep, and which chunks to listen to."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from k2d.select.chunk_row import ChunkRow
from k2d.select.metrics import METRICS

Kind = Literal["teacher loops", "auxiliary loops", "no loop"]
KINDS: tuple[Kind, ...] = ("teacher loops", "auxiliary loops", "no loop")


@dataclass(frozen=True, slots=True)
class DistanceSummary:
    """The distances of one auxiliary, summarised in bounded memory."""

    total_s: float
    n_chunks: int
    n_empty: int
    """Chunks with an empty label. No threshold keeps them."""
    seconds_at: Mapping[str, Mapping[float, float]]
    """Seconds of speech by metric and distance, without chunks whose label is empty."""
    worst: tuple[ChunkRow, ...]

    def kept_share(self, metric: str, alpha: float) -> float:
        """The share of the hours that a threshold would keep."""
        kept_s = sum(seconds for distance, seconds in self.seconds_at[metric].items() if distance <= alpha)
        return kept_s / self.total_s if self.total_s else 0.0


def summed_up(rows: Iterable[ChunkRow], n_worst: int) -> DistanceSummary:
    """Summarise the rows in one pass. Distances have four decimals, so there are few different values."""
    seconds_at: dict[str, defaultdict[float, float]] = {metric: defaultdict(float) for metric in METRICS}
    worst = _Worst(n_worst)
    total_s, n_chunks, n_empty = 0.0, 0, 0
    for row in rows:
        far, duration_s = row.distances, row.duration_s
        total_s += duration_s
        n_chunks += 1
        if not far.n_a:
            n_empty += 1
            continue
        for metric, distance in far.by_metric.items():
            seconds_at[metric][distance] += duration_s
        if far.n_b and far["mer"]:
            worst.add(row)
    return DistanceSummary(total_s, n_chunks, n_empty, seconds_at, tuple(worst.taken()))


def kind_of(row: ChunkRow) -> Kind:
    if row.distances.loops_a:
        return "teacher loops"
    return "auxiliary loops" if row.distances.loops_b else "no loop"


class _Worst:
    """The chunks with the largest MER of each kind. Kinds take turns, because loops alone would fill the list."""

    def __init__(self, n_wanted: int) -> None:
        self.n_wanted = n_wanted
        self._heaps: dict[Kind, list[tuple[float, float, str, ChunkRow]]] = {kind: [] for kind in KINDS}

    def add(self, row: ChunkRow) -> None:
        heap = self._heaps[kind_of(row)]
        entry = (row.distances["mer"], row.duration_s, row.id, row)
        if len(heap) < self.n_wanted:
            heapq.heappush(heap, entry)
        elif heap and entry > heap[0]:
            heapq.heapreplace(heap, entry)

    def taken(self) -> list[ChunkRow]:
        queues = [sorted(heap, reverse=True) for heap in self._heaps.values()]
        turns = sorted((rank, n, entry[-1]) for n, queue in enumerate(queues) for rank, entry in enumerate(queue))
        return [row for _, _, row in turns[: self.n_wanted]]
