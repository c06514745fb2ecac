"""From the facts about chunks to the finished study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from k2d.score.confidence import Draws
from k2d.study.combined import agreement, cross_fitted, folds_of, model_inputs
from k2d.study.comparing import Row, compared
from k2d.study.facts import (
    StudiedChunk,
    amounts_of,
    auxiliaries_of,
    column_of,
    facts_of,
    true_shares,
    unknown_facts,
)
from k2d.study.judges import COMBINED, COMBINED_UNSUPERVISED, Estimate, judges_of
from k2d.study.logistic import Logistic, fitted
from k2d.study.ranking import SECONDS, Array
from k2d.study.reliability import Reliability, reliability

_NO_TRUTH = "all of the above, fitted to their agreement; no truth"


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides the figures besides the chunks."""

    bad_label_mer: float
    auxiliary: str
    """Its composite distance decides how many hours every judge keeps …"""
    alpha: float
    """… by this limit."""
    draws: Draws


@dataclass(frozen=True)
class FittedModel:
    """The logistic model of the combined judge, fitted on all chunks with truth, for use on others."""

    inputs: tuple[str, ...]
    model: Logistic


@dataclass(frozen=True)
class Study:
    """The finished study."""

    terms: Terms
    chunks: Sequence[StudiedChunk]
    facts: dict[str, Array]
    amounts: Array
    rows: Sequence[Row]
    estimates: dict[str, Array]
    """Of each label's error, by judge."""
    reliability: dict[str, Reliability]
    fitted: FittedModel | None
    notes: tuple[str, ...]

    @property
    def reference(self) -> str:
        return column_of("composite", self.terms.auxiliary)

    @property
    def kept_hours(self) -> float:
        """The hours that the reference keeps, and so every judge."""
        is_kept = self.facts[self.reference] <= self.terms.alpha
        return float(self.amounts[is_kept, SECONDS].sum()) / 3600

    @property
    def n_recordings(self) -> int:
        return len({chunk.recording for chunk in self.chunks})


def studied(chunks: Sequence[StudiedChunk], labelled: Sequence[StudiedChunk], terms: Terms) -> Study:
    """Judge every chunk by every judge. The combined judge is fitted on `labelled`.

    If `labelled` is empty, it is fitted on the truth of these chunks: for each recording, on that of others.
    """
    facts, auxiliaries = facts_of(chunks), auxiliaries_of(chunks)
    amounts, (shares, words) = amounts_of(chunks, terms.bad_label_mer), true_shares(chunks)
    combined = _fitted_on(labelled, chunks) if labelled else _cross_fitted(chunks)
    estimates = {} if combined is None else {COMBINED: combined.estimate}
    estimates[COMBINED_UNSUPERVISED] = Estimate(_NO_TRUTH, agreement(facts, auxiliaries))
    judges = judges_of(facts, auxiliaries, estimates, amounts)
    reference, recordings = column_of("composite", terms.auxiliary), [chunk.recording for chunk in chunks]
    return Study(
        terms,
        chunks,
        facts,
        amounts,
        compared(judges, reference, facts[reference] <= terms.alpha, amounts, recordings, terms.draws),
        {name: estimate.values for name, estimate in estimates.items()},
        {name: reliability(estimate.values, shares, words, amounts) for name, estimate in estimates.items()},
        None if combined is None else combined.fitted,
        tuple(_notes(chunks, combined is not None)),
    )


class _Combined(NamedTuple):
    """The combined judge's estimate, and its model for use on other chunks."""

    estimate: Estimate
    fitted: FittedModel


def _fitted_on(labelled: Sequence[StudiedChunk], chunks: Sequence[StudiedChunk]) -> _Combined:
    """The model is fitted on other chunks, by the facts that are known of both."""
    columns, learnt = (model_inputs(facts_of(each), auxiliaries_of(each)) for each in (chunks, labelled))
    names = tuple(name for name in columns if name in learnt)
    model = fitted(_matrix(learnt, names), *true_shares(labelled))
    splits = ", ".join(sorted({chunk.split for chunk in labelled}))
    uses = f"all of the above, fitted on the truth of {splits} ({len(labelled):,} chunks)"
    return _Combined(Estimate(uses, model.expected(_matrix(columns, names))), FittedModel(names, model))


def _cross_fitted(chunks: Sequence[StudiedChunk]) -> _Combined | None:
    """Each chunk is judged by a model that was fitted on other recordings. None with a single recording."""
    folds = folds_of([chunk.recording for chunk in chunks])
    n_folds = len(np.unique(folds))
    if n_folds < 2:
        return None
    columns = model_inputs(facts_of(chunks), auxiliaries_of(chunks))
    names, (shares, words) = tuple(columns), true_shares(chunks)
    inputs = _matrix(columns, names)
    uses = f"all of the above, fitted on the truth of other recordings ({n_folds} folds)"
    estimate = Estimate(uses, cross_fitted(inputs, shares, words, folds))
    return _Combined(estimate, FittedModel(names, fitted(inputs, shares, words)))


def _matrix(columns: dict[str, Array], names: Sequence[str]) -> Array:
    return np.column_stack([columns[name] for name in names])


def _notes(chunks: Sequence[StudiedChunk], has_combined: bool) -> list[str]:
    notes = []
    if unknown := unknown_facts(chunks):
        notes.append(f"Left out, because it is not stored for every chunk: {', '.join(unknown)}.")
    if not has_combined:
        notes.append(
            "The judge combined is left out: it is fitted on the truth of other recordings, and there is only one."
        )
    return notes
