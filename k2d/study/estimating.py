"""Estimates the error of every label, for selection: by a model that is fitted on a few transcribed recordings.

Without any, the estimate is that of `combined_unsupervised` in the study. Then it is on the scale of the distances,
which contain the auxiliaries' errors, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from k2d.core.errors import K2DError
from k2d.select.chunk_row import ChunkRow, Decision
from k2d.select.metrics import DECIMALS
from k2d.select.rules import EMPTY_TEACHER, ESTIMATED_ERROR
from k2d.study.combined import agreement, model_inputs
from k2d.study.facts import LabelFacts, StudiedChunk, auxiliaries_of, facts_of, true_shares
from k2d.study.logistic import fitted
from k2d.study.ranking import Array

VERSION = 1
"""Raise it if the same facts would give other estimates."""


def estimated_errors(chunks: Sequence[LabelFacts], labelled: Sequence[StudiedChunk]) -> Iterator[tuple[str, float]]:
    """The id of each chunk and the estimated share of wrong words in its label, in the given order.

    The model is fitted on `labelled`. If that is empty, no truth is used.
    """
    if not chunks:
        return
    facts, auxiliaries = facts_of(chunks), auxiliaries_of(chunks)
    estimates = _by_model(facts, labelled, auxiliaries) if labelled else agreement(facts, auxiliaries)
    for chunk, estimate in zip(chunks, estimates.tolist(), strict=True):
        yield chunk.id, estimate


def decisions_by_estimate(
    rows: Iterable[ChunkRow], estimates: Iterator[tuple[str, float]], max_error: float
) -> Iterator[Decision]:
    """The decision on each chunk. Those without a word in their label have no estimate and are dropped."""
    for row in rows:
        if not row.distances.n_a:
            yield Decision(row.id, EMPTY_TEACHER, 1.0)
            continue
        key, error = next(estimates)
        assert key == row.id, f"the distances are of {row.id}, the estimate is for {key}"
        error = round(error, DECIMALS)  # as it is written, so that the decision can be reproduced
        yield Decision(row.id, ESTIMATED_ERROR if error > max_error else "", error)


def _by_model(facts: Mapping[str, Array], labelled: Sequence[StudiedChunk], auxiliaries: Sequence[str]) -> Array:
    columns, learnt = model_inputs(facts, auxiliaries), model_inputs(facts_of(labelled), auxiliaries)
    names = [name for name in columns if name in learnt]
    model = fitted(np.column_stack([learnt[name] for name in names]), *true_shares(labelled))
    return model.expected(np.column_stack([columns[name] for name in names]))


def demand_labelled(labelled: Sequence[StudiedChunk], fit: Sequence[str]) -> None:
    """Raise if the splits to fit on have no label with words, or only right or only wrong ones."""
    where = f"select.fit: {', '.join(fit)}"
    if not labelled:
        raise K2DError(f"{where}: no chunk has a word in its label, so nothing can be learnt; name another split")
    shares, _ = true_shares(labelled)
    if shares.min() == shares.max():
        raise K2DError(
            f"{where}: all {len(labelled):,} labels have the same error ({shares[0]:.0%}), so nothing can be learnt; "
            "name a split with more recordings"
        )
