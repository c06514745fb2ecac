"""Distances of any number of pairs, in worker processes and bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from k2d.faults import K2DError
from k2d.progress import Progress
from k2d.select.distances import Comparer, Measuring
from k2d.select.rows import ChunkRow, chunk_line
from k2d.workers import Outcome, run_each

BLOCK_PAIRS = 2000
BLOCK_CHARACTERS = 2_000_000  # a few megabytes go to a worker at once, however long the texts are


class Pair(NamedTuple):
    """A chunk with two opinions on it, as they were written."""

    id: str
    recording: str
    duration_s: float
    teacher: str
    auxiliary: str


class Block(NamedTuple):
    """What a worker measures at once."""

    measuring: Measuring
    cache: Path | None
    pairs: list[Pair]


def measured_lines(
    pairs: Iterable[Pair], measuring: Measuring, *, nj: int, total: int, cache: Path | None = None
) -> Iterator[str]:
    """A line of distances.tsv for each pair, block by block in the order in which they are done."""
    done = run_each(measure, (Block(measuring, cache, block) for block in blocks(pairs)), nj=nj)
    with Progress("distances", total, "chunks") as progress:
        for outcome in done:
            yield from _lines(outcome)
            progress.update(len(outcome.item.pairs))


def blocks(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    """The pairs in blocks of bounded size, of at least one pair each."""
    block: list[Pair] = []
    n_characters = 0
    for pair in pairs:
        block.append(pair)
        n_characters += len(pair.teacher) + len(pair.auxiliary)
        if len(block) >= BLOCK_PAIRS or n_characters >= BLOCK_CHARACTERS:
            yield block
            block, n_characters = [], 0
    if block:
        yield block


def measure(block: Block) -> list[str]:
    """The lines of a block. Runs in a worker."""
    compare = _comparer(block.measuring, block.cache).compare
    return [
        chunk_line(ChunkRow(pair.id, pair.recording, pair.duration_s, compare(pair.teacher, pair.auxiliary)))
        for pair in block.pairs
    ]


@lru_cache(maxsize=1)
def _comparer(measuring: Measuring, cache: Path | None) -> Comparer:
    """One for all blocks of a worker, so that it learns each word once."""
    return Comparer(measuring, cache)


def _lines(outcome: Outcome[Block, list[str]]) -> list[str]:
    if outcome.value is None:
        first, last = outcome.item.pairs[0].id, outcome.item.pairs[-1].id
        raise K2DError(f"the distances of {first} to {last} could not be measured: {outcome.error}")
    return outcome.value
