"""The true text of an unlabelled split, `<corpus>/<split>_truth`, for what studies labels. It never trains a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from k2d.data.chunk_sources import read_sources
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.rows import Utterance
from k2d.pipeline.job import Job
from k2d.score.rates import ErrorRate
from k2d.score.scoring import Conventions
from k2d.score.validator import true_errors, truth_of

_TABLES = ("text", "segments")


def truth_tables(split: str, job: Job) -> list[Path]:
    return [job.layout.truth(split) / name for name in _TABLES]


def errors_of_labels(split: str, job: Job, conventions: Conventions) -> Iterator[tuple[str, ErrorRate]]:
    """Each chunk of a split, by its id <corpus>/<split>/<chunk>, with the true errors in its label."""
    chunks = job.layout.chunks(split)
    labels = {row.id: row.text or "" for row in read_utterances(chunks)}
    truth: Iterator[Utterance] = read_utterances(job.layout.truth(split))
    for key, text in truth_of(read_sources(chunks), truth):
        yield f"{split}/{key}", true_errors(text, labels[key], conventions)
