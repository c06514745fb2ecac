"""Compute the distances of any number of pairs in worker processes and bounded memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError
from k2d.core.progress import Progress
from k2d.core.workers import run_each
from k2d.select.chunk_row import ChunkRow, chunk_line
from k2d.select.distances import Comparer
from k2d.select.metrics import Measuring

BLOCK_PAIRS = 2000
BLOCK_CHARACTERS = 2_000_000  # the size of a block for a worker, a few megabytes, however long the texts are


class TextPair(NamedTuple):
    """A chunk with two opinions on it, before normalisation."""

    id: str
    recording: str
    duration_s: float
    teacher: str
    auxiliary: str


class Keeping(NamedTuple):
    """Folders with expensive results: guessed pronunciations, and blocks of an interrupted run."""

    guesses: Path | None = None
    blocks: Path | None = None


NOTHING_KEPT = Keeping()


class Block(NamedTuple):
    """The pairs that a worker measures at once."""

    measuring: Measuring
    keeping: Keeping
    pairs: list[TextPair]


def measured_lines(
    pairs: Iterable[TextPair], measuring: Measuring, *, nj: int, total: int, keeping: Keeping = NOTHING_KEPT
) -> Iterator[str]:
    """A line of distances.tsv for each pair, block by block in the order in which blocks are finished."""
    done = run_each(measure, (Block(measuring, keeping, block) for block in blocks(pairs)), nj=nj)
    with Progress("distances", total, "chunks") as progress:
        for outcome in done:
            if outcome.value is None:
                first, last = outcome.item.pairs[0].id, outcome.item.pairs[-1].id
                raise K2DError(f"the distances of {first} to {last} could not be measured: {outcome.error}")
            yield from outcome.value
            progress.update(len(outcome.item.pairs))


def blocks(pairs: Iterable[TextPair]) -> Iterator[list[TextPair]]:
    """The pairs in blocks of bounded size. A block has at least one pair."""
    block: list[TextPair] = []
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
    """The lines of a block, from an interrupted run or measured now. Runs in a worker."""
    comparer = _comparer(block.measuring, block.keeping.guesses)
    left = block.keeping.blocks / f"{_digest(block, comparer)}.tsv" if block.keeping.blocks else None
    if left is not None and left.exists():
        return left.read_text(encoding="utf-8").split("\n")[:-1]
    lines = [
        chunk_line(ChunkRow(pair.id, pair.recording, pair.duration_s, comparer.compare(pair.teacher, pair.auxiliary)))
        for pair in block.pairs
    ]
    if left is not None:
        write_text(left, "".join(f"{line}\n" for line in lines))
    return lines


def _digest(block: Block, comparer: Comparer) -> str:
    """A digest of everything that determines the lines of a block."""
    content = json.dumps([comparer.signature, block.pairs], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


@lru_cache(maxsize=1)
def _comparer(measuring: Measuring, guesses: Path | None) -> Comparer:
    """A comparer for all blocks of a worker, so that it looks up each word only once."""
    return Comparer(measuring, guesses)
