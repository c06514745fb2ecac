"""Batches by length: no utterance twice in an epoch, little padding, and steps that do not depend on each other."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_chunks import numbers_of_step

from k2d.train.bucketing import LengthBatches


@given(st.lists(st.integers(1, 9), min_size=1, max_size=80), st.integers(1, 12), st.integers(0, 99))
def test_an_epoch_has_every_utterance_at_most_once(lengths, batch_size, seed):
    made = LengthBatches(np.array(lengths), batch_size, (seed, 0))
    epoch = np.concatenate([made.batch(step) for step in range(made.n_per_epoch)])
    assert len(set(epoch)) == len(epoch) == made.n_per_epoch * min(batch_size, len(lengths))
    assert len(lengths) - len(epoch) < batch_size


@given(st.permutations(range(30)))
def test_a_step_does_not_depend_on_those_before_it(order):
    lengths = np.arange(1, 41)
    first, second = (LengthBatches(lengths, 7, (3, 1)) for _ in range(2))
    in_order = [first.batch(step).tolist() for step in range(30)]
    assert all(second.batch(step).tolist() == in_order[step] for step in order)


def test_epochs_phases_and_seeds_differ():
    lengths = np.arange(1, 101)

    def epoch(key, number):
        made = LengthBatches(lengths, 10, key)
        return [made.batch(number * made.n_per_epoch + at).tolist() for at in range(made.n_per_epoch)]

    kinds = [epoch((1, 0), 0), epoch((1, 0), 1), epoch((1, 1), 0), epoch((2, 0), 0)]
    assert all(a != b for n, a in enumerate(kinds) for b in kinds[:n])


def test_a_batch_holds_utterances_of_like_length():
    lengths = np.random.default_rng(0).integers(10, 1000, 1000)
    made = LengthBatches(lengths, 10, (0, 0))
    filled = [lengths[made.batch(step)].mean() / lengths[made.batch(step)].max() for step in range(100)]
    assert np.mean(filled) > 0.9  # one half if they were not sorted
    assert np.corrcoef(np.arange(100), [lengths[made.batch(step)].mean() for step in range(100)])[0, 1] < 0.3


@given(st.lists(st.integers(1, 9), min_size=1, max_size=200), st.integers(1, 5), st.integers(0, 99))
def test_a_batch_equals_shuffling_sorting_and_cutting(lengths, batch_size, seed):
    made = LengthBatches(np.array(lengths, np.int32), batch_size, (seed, 0))
    for step in (0, made.n_per_epoch - 1, made.n_per_epoch, 3 * made.n_per_epoch + made.n_per_epoch // 2):
        assert made.batch(step).tolist() == numbers_of_step(lengths, batch_size, (seed, 0), step)


@pytest.mark.parametrize("step", [0, 2_999, 3_000, 5_000])
def test_a_batch_equals_shuffling_sorting_and_cutting_of_many_utterances(step):
    lengths = np.random.default_rng(1).integers(5, 300, 72_005)
    expected = numbers_of_step(lengths.tolist(), 24, (1, 0), step)
    assert LengthBatches(lengths, 24, (1, 0)).batch(step).tolist() == expected


def test_an_epoch_needs_few_bytes_per_utterance():
    lengths = np.ones(100_000, np.int32)
    made = LengthBatches(lengths, 8, (1, 0))
    tracemalloc.start()
    for step in range(0, 5 * made.n_per_epoch, 1000):
        made.batch(step)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 11 * len(lengths), "two epochs of four bytes each, and their batches"
    assert peak < 20 * len(lengths)
