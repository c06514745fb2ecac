"""Reads chunks and the true text of their split, `<corpus>/<split>_truth`, and counts the errors in each label.

For what studies labels. The true text never trains a model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from k2d.data.chunk_sources import read_sources
from k2d.data.kaldi.datadir import read_utterances
from k2d.score.align import Alignment
from k2d.score.rates import ErrorRate
from k2d.score.scoring import Conventions
from k2d.score.validator import true_alignment, truth_of

TRUTH_TABLES = ("text", "segments")
"""The files that are read of a data directory with true text."""


def aligned_labels(split: str, chunks: Path, truth: Path, conventions: Conventions) -> Iterator[tuple[str, Alignment]]:
    """Each chunk of a split, by <corpus>/<split>/<chunk id>, with its label aligned with the truth."""
    labels = {row.id: row.text or "" for row in read_utterances(chunks)}
    for key, text in truth_of(read_sources(chunks), read_utterances(truth)):
        yield f"{split}/{key}", true_alignment(text, labels[key], conventions)


def errors_of_labels(
    split: str, chunks: Path, truth: Path, conventions: Conventions
) -> Iterator[tuple[str, ErrorRate]]:
    """Each chunk of a split with the true errors in its label."""
    for key, alignment in aligned_labels(split, chunks, truth, conventions):
        yield key, alignment.counts
