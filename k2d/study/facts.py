"""The facts about every chunk that judges use, and the true errors that the judges do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from k2d.score.rates import ErrorRate
from k2d.score.validator import is_bad_label
from k2d.select.chunk_row import ALIGNMENT, PairDistances
from k2d.select.metrics import METRICS
from k2d.study.doubt import Doubt
from k2d.study.ranking import Array


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """A chunk with everything that is stored about its label."""

    id: str
    """<corpus>/<split>/<chunk id>"""
    recording: str
    """<corpus>/<split>/<recording id>"""
    duration_s: float
    distances: Mapping[str, PairDistances]
    """By auxiliary."""
    doubt: Doubt
    alignments: Mapping[str, float]
    """The distance by alignment, by auxiliary, where stage 7 has aligned the labels."""

    @property
    def split(self) -> str:
        return self.id.rpartition("/")[0]

    @property
    def loops(self) -> bool:
        return next(iter(self.distances.values())).loops_a

    @property
    def n_tokens(self) -> int:
        """The number of mixed tokens of the label."""
        return next(iter(self.distances.values())).n_a


@dataclass(frozen=True, slots=True)
class StudiedChunk(LabelFacts):
    """The same with the true errors in the label."""

    errors: ErrorRate
    error_kinds: Mapping[str, int] = field(default_factory=dict)
    """How many of the errors are of each kind (k2d/score/error_kinds.py)."""


def amounts_of(chunks: Sequence[StudiedChunk], bad_label_mer: float) -> Array:
    """What is added up over chunks, in the columns of `ranking`."""
    rows = [(c.duration_s, c.errors.n, c.errors.errors, 1, is_bad_label(c.errors, bad_label_mer)) for c in chunks]
    return np.array(rows, dtype=np.float64)


def true_shares(chunks: Sequence[StudiedChunk]) -> tuple[Array, Array]:
    """The true error of each label as a share from 0 to 1, and the number of words that it is a share of.

    A label has at most as many errors here as its reference has words. So a long loop does not count for many labels.
    """
    words = np.array([max(chunk.errors.n, 1) for chunk in chunks], dtype=np.float64)
    errors = np.array([chunk.errors.errors for chunk in chunks], dtype=np.float64)
    return np.minimum(errors / words, 1.0), words


LOOPS, LOGPROB, LOWEST_WINDOW, NO_SPEECH = "loops", "mean_logprob", "lowest_window", "no_speech"
FAILED_WINDOWS, COMPRESSION, TOKENS_PER_S = "failed_windows", "compression", "tokens_per_s"


def facts_of(chunks: Sequence[LabelFacts]) -> dict[str, Array]:
    """A column for each fact that is known of every chunk: those about the label, then those of each auxiliary."""
    stated: dict[str, list[float | None]] = {
        LOOPS: [float(chunk.loops) for chunk in chunks],
        LOGPROB: [chunk.doubt.mean_logprob for chunk in chunks],
        LOWEST_WINDOW: [chunk.doubt.lowest_logprob for chunk in chunks],
        NO_SPEECH: [chunk.doubt.highest_no_speech for chunk in chunks],
        FAILED_WINDOWS: [chunk.doubt.failed_share for chunk in chunks],
        COMPRESSION: [chunk.doubt.compression for chunk in chunks],
        TOKENS_PER_S: [chunk.doubt.tokens_per_s for chunk in chunks],
    }
    for auxiliary in auxiliaries_of(chunks):
        stated[column_of(LOOPS, auxiliary)] = [float(chunk.distances[auxiliary].loops_b) for chunk in chunks]
        for metric in METRICS:
            stated[column_of(metric, auxiliary)] = [chunk.distances[auxiliary][metric] for chunk in chunks]
        aligned = [chunk.alignments.get(auxiliary) for chunk in chunks]
        if any(distance is not None for distance in aligned):
            stated[column_of(ALIGNMENT, auxiliary)] = aligned
    return {name: np.array(values, dtype=np.float64) for name, values in stated.items() if None not in values}


def unknown_facts(chunks: Sequence[LabelFacts]) -> list[str]:
    """The facts that are not stored for every chunk."""
    aligned = [
        column_of(ALIGNMENT, name) for name in auxiliaries_of(chunks) if any(name in c.alignments for c in chunks)
    ]
    known = facts_of(chunks)
    return [name for name in (LOGPROB, LOWEST_WINDOW, FAILED_WINDOWS, *aligned) if name not in known]


def auxiliaries_of(chunks: Sequence[LabelFacts]) -> list[str]:
    return list(chunks[0].distances)


def column_of(fact: str, auxiliary: str) -> str:
    """
    >>> column_of("per", "base")
    'per:base'
    """
    return f"{fact}:{auxiliary}"
