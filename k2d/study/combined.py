"""Judges that combine all facts about a label in an estimate of its error: one learns from truth, one from none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from k2d.select.chunk_row import ALIGNMENT
from k2d.select.metrics import METRICS
from k2d.study.facts import (
    COMPRESSION,
    FAILED_WINDOWS,
    LOGPROB,
    LOOPS,
    LOWEST_WINDOW,
    NO_SPEECH,
    TOKENS_PER_S,
    column_of,
)
from k2d.study.logistic import fitted, log_odds
from k2d.study.ranking import Array

MOST_FOLDS = 5
_MARGIN = 0.02  # a distance of 0 is no certainty
_STATED = ("mer", "per")  # words and sounds: each finds errors that the other does not
_OF_A_LOOP = 0.01  # the weight of an opinion that loops: next to no evidence


def model_inputs(facts: Mapping[str, Array], auxiliaries: Sequence[str]) -> dict[str, Array]:
    """The facts in the form in which the error depends on them most simply: the inputs of the logistic model."""
    tempo = np.log(facts[TOKENS_PER_S])
    tempo = tempo - np.median(tempo)
    found = {
        LOOPS: facts[LOOPS],
        **{name: facts[name] for name in (LOGPROB, LOWEST_WINDOW, NO_SPEECH, FAILED_WINDOWS) if name in facts},
        COMPRESSION: np.log(facts[COMPRESSION]),
        TOKENS_PER_S: tempo,
        f"|{TOKENS_PER_S}|": np.abs(tempo),
    }
    for auxiliary in auxiliaries:
        loops = column_of(LOOPS, auxiliary)
        found[loops] = facts[loops]
        for metric in METRICS:
            # Distances are shares, as the error is. As log odds, the model can take them for the error unchanged.
            found[column_of(metric, auxiliary)] = log_odds(facts[column_of(metric, auxiliary)], _MARGIN)
        if (aligned := column_of(ALIGNMENT, auxiliary)) in facts:
            found[aligned] = log_odds(facts[aligned], _MARGIN)
    return found


def folds_of(recordings: Sequence[str]) -> NDArray[np.intp]:
    """The fold of each chunk. All chunks of a recording are in one fold; recordings take turns.

    >>> folds_of(["b", "a", "b", "c"]).tolist()
    [1, 0, 1, 2]
    """
    names = sorted(set(recordings))
    number = {name: place % min(MOST_FOLDS, len(names)) for place, name in enumerate(names)}
    return np.array([number[name] for name in recordings], dtype=np.intp)


def cross_fitted(inputs: Array, shares: Array, weights: Array, folds: NDArray[np.intp]) -> Array:
    """The expected share of each chunk, by a model that was fitted on all other folds."""
    found = np.empty(len(inputs))
    for fold in np.unique(folds):
        is_mine = folds == fold
        found[is_mine] = fitted(inputs[~is_mine], shares[~is_mine], weights[~is_mine]).expected(inputs[is_mine])
    return found


def agreement(facts: Mapping[str, Array], auxiliaries: Sequence[str]) -> Array:
    """An estimate of each label's error without any truth, from the agreement of the judges.

    For each auxiliary, all facts that do not depend on it learn to predict its distance, the mean of MER and PER. What
    they predict and what the auxiliary states are two witnesses of the same error; the estimate is their mean. If the
    auxiliary loops, the prediction stands alone. Over several auxiliaries, the mean is taken.
    """
    columns = model_inputs(facts, auxiliaries)
    estimates = []
    for auxiliary in auxiliaries:
        others = [values for name, values in columns.items() if not name.endswith(f":{auxiliary}")]
        inputs = np.column_stack(others)
        distances = [np.clip(facts[column_of(metric, auxiliary)], 0.0, 1.0) for metric in _STATED]
        stated = np.mean(distances, axis=0)
        loops = facts[column_of(LOOPS, auxiliary)] > 0
        predicted = fitted(inputs, stated, np.where(loops, _OF_A_LOOP, 1.0)).expected(inputs)
        estimates.append(np.where(loops, predicted, (predicted + stated) / 2))
    return np.asarray(np.mean(estimates, axis=0))
