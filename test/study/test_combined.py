"""Judges that combine: what they may know, and that two witnesses are better than one."""

from dataclasses import replace

import numpy as np
import pytest
from studied_chunks import chunk, two_witnesses

from k2d.score.confidence import Draws
from k2d.score.rates import ErrorRate
from k2d.study.combined import MOST_FOLDS, agreement, folds_of, model_inputs
from k2d.study.facts import facts_of
from k2d.study.judging import Terms, studied

TERMS = Terms(0.4, "base", 0.3, Draws(resamples=20))


def rows_of(study):
    return {row.judge.name: row for row in study.rows}


def test_all_chunks_of_a_recording_are_in_one_fold():
    names = [f"r{n % 13}" for n in range(60)]
    folds = folds_of(names)
    assert len({(name, fold) for name, fold in zip(names, folds, strict=True)}) == 13
    sizes = [len({name for name, fold in zip(names, folds, strict=True) if fold == n}) for n in range(MOST_FOLDS)]
    assert sorted(sizes) == [2, 2, 3, 3, 3]


def test_an_estimate_does_not_know_the_truth_of_its_own_recording():
    chunks = two_witnesses(n_recordings=4, n_each=10)
    changed = [replace(c, errors=ErrorRate(20, s=20)) if c.recording.endswith("r00") else c for c in chunks]
    before, after = (studied(each, [], TERMS).estimates["combined"] for each in (chunks, changed))
    is_own = np.array([c.recording.endswith("r00") for c in chunks])
    assert before[is_own] == pytest.approx(after[is_own])
    assert (after[~is_own] > before[~is_own]).mean() > 0.9


def test_the_judge_without_truth_knows_none():
    chunks = two_witnesses(n_recordings=4, n_each=10)
    changed = [replace(c, errors=ErrorRate(20, s=20)) for c in chunks]
    before, after = (studied(each, [], TERMS).estimates["combined_unsupervised"] for each in (chunks, changed))
    assert before == pytest.approx(after)


def test_two_witnesses_together_are_better_than_each_alone():
    study = studied(two_witnesses(), [], TERMS)
    rows = rows_of(study)
    alone = [rows[name].figures for name in ("composite:base", "mean_logprob")]
    for name in ("combined", "combined_unsupervised"):
        both = rows[name].figures
        assert both.area > max(each.area for each in alone) + 0.02
        assert both.label_error < min(each.label_error for each in alone)
        assert both.recall > max(each.recall for each in alone)
    assert rows["combined"].ahead_low.area > 0  # the whole interval


def test_the_estimate_is_on_the_scale_of_the_error():
    """Fitted on truth; without truth it would be on that of the distances."""
    found = studied(two_witnesses(n_recordings=20), [], TERMS).reliability["combined"]
    assert found.mean_gap < 0.03
    for group in found.groups:
        if group.n_chunks > 50:
            assert group.estimated == pytest.approx(group.true, abs=0.05)


def test_a_looping_opinion_is_no_witness():
    """Its distance says nothing about the label, so a change of it changes next to nothing."""
    chunks = two_witnesses(n_recordings=4, n_each=10)

    def estimate(loops, distance):
        first = chunks[0]
        far = replace(
            first.distances["base"], loops_b=loops, by_metric=dict.fromkeys(("mer", "per", "composite"), distance)
        )
        changed = [replace(first, distances={"base": far}), *chunks[1:]]
        return agreement(facts_of(changed), ["base"])[0]

    assert estimate(False, 0.9) - estimate(False, 0.1) > 0.3
    assert abs(estimate(True, 0.9) - estimate(True, 0.1)) < 0.02


def test_every_auxiliary_is_a_witness():
    """The second one alone finds the bad label: the lowest and the mean distance, and both models, use it."""
    chunks = two_witnesses(n_recordings=4, n_each=10)
    chunks = [
        replace(
            c,
            distances={
                **c.distances,
                "other": replace(
                    c.distances["base"], by_metric=dict.fromkeys(("mer", "per", "composite"), c.errors.errors / 20)
                ),
            },
        )
        for c in chunks
    ]
    rows = rows_of(studied(chunks, [], TERMS))
    assert rows["composite:other"].figures.area == 1.0
    assert rows["composite:base"].figures.area < rows["mean composite"].figures.area < 1.0
    assert {"min mer", "mean mer", "min per", "mean per", "min composite", "mean composite"} < set(rows)
    assert rows["combined"].figures.area > rows["composite:base"].figures.area
    assert "per:other" in model_inputs(facts_of(chunks), ["base", "other"])


def test_the_lowest_and_the_mean_of_two_distances_by_hand():
    chunks = [chunk(0, {"p": 0.2, "q": 0.6}), chunk(9, {"p": 0.4, "q": 0.5}, at=1)]
    rows = rows_of(studied(chunks, [], Terms(0.4, "p", 0.3, Draws(resamples=20))))
    assert rows["min mer"].judge.scores == pytest.approx([0.2, 0.4])
    assert rows["mean mer"].judge.scores == pytest.approx([0.4, 0.45])
