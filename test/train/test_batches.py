"""Samples and batches depend only on seed, phase, step and position, in any process."""

import doctest

import numpy as np
import pytest

from k2d.config.training import Augment, Phase
from k2d.core.errors import K2DError

pytestmark = pytest.mark.slow

PLAIN = Augment(gain_db=0.0, noise=0.0, echo=0.0)


@pytest.fixture
def batches(fake):
    from k2d.train.batches import StepBatches, TrainingProcess

    def make(seed=1, number=0, rank=0, world=1, pool=None, first_step=0, **phase):
        made = Phase(**phase)
        return StepBatches(
            fake.material(**(pool or {})), made, (seed, number), TrainingProcess(rank, world), first_step
        )

    return make


def same(one, other):
    return one.ids == other.ids and all(a.equal(b) for a, b in zip(one[1:7], other[1:7], strict=True))


def test_one_utterance_worked_out_by_hand(batches, fake):
    made = batches(data="utterances", batch_size=1, augment=PLAIN, pool={"texts": ["ba"], "durations_s": [0.52]})
    (batch,) = made[0]
    a, b = fake.FIRST_LETTER, fake.FIRST_LETTER + 1
    begin, end = fake.FIRST_TIME, fake.FIRST_TIME + 5
    assert batch.ids == ("u0",)
    assert batch.n_samples_B.tolist() == [520]
    assert batch.inputs_BL.tolist() == [[fake.SOS, begin, b, a, end]]
    assert batch.targets_BL.tolist() == [[begin, b, a, end, fake.EOS]]
    assert (batch.text_BC.tolist(), batch.n_text_B.tolist()) == ([[b, a]], [2])


def test_a_longer_prompt_has_no_loss_and_needs_no_times(batches, fake):
    made = batches(
        data="utterances", batch_size=1, timestamps=False, augment=PLAIN, pool={"texts": ["b"], "durations_s": [0.5]}
    )
    (batch,) = made[0]
    b = fake.FIRST_LETTER + 1
    assert batch.inputs_BL.tolist() == [[fake.SOS, fake.NO_TIMES, b]]
    assert batch.targets_BL.tolist() == [[-100, b, fake.EOS]]


def test_windows_have_sound_at_the_times_of_their_label(batches, fake):
    made = batches(batch_size=8, augment=PLAIN, cut_share=1.0)
    for step in range(5):
        (batch,) = made[step]
        assert batch.speech_BN.shape == (8, fake.WINDOW.n_samples)
        for speech, targets in zip(batch.speech_BN.numpy(), batch.targets_BL.tolist(), strict=True):
            times = [t - fake.FIRST_TIME for t in targets if fake.FIRST_TIME <= t < fake.FIRST_LETTER]
            has_sound = np.zeros(len(speech), bool)
            for start, end in zip(times[::2], times[1::2], strict=True):
                has_sound[start * 100 : end * 100] = True
                assert np.abs(speech[start * 100 : start * 100 + 60]).max() > 0.1
            assert not speech[~has_sound].any()


def test_shorter_windows_contain_the_utterances_that_fit(batches):
    (batch,) = batches(batch_size=20, window_s=0.6, augment=PLAIN)[0]
    assert batch.speech_BN.shape == (20, 600)
    assert {key for ids in batch.ids for key in ids.split("+")} == {"u0", "u2", "u3"}  # not u1 (0.9 s), u4 (0.62 s)


@pytest.mark.parametrize("data", ["windows", "utterances"])
def test_faster_speech_is_shorter_and_its_times_too(batches, fake, data):
    """At twice the speed, an utterance of 0.5 s lasts 0.25 s: 2 or 3 steps of 0.1 s."""
    pool = {"texts": ["ba"], "durations_s": [0.5]}
    faster = Augment(gain_db=0.0, noise=0.0, echo=0.0, speed=(2.0, 2.0))
    (batch,) = batches(data=data, batch_size=1, augment=faster, pool=pool)[0]
    times = [t - fake.FIRST_TIME for t in batch.targets_BL[0].tolist() if fake.FIRST_TIME <= t < fake.FIRST_LETTER]
    assert {end - start for start, end in zip(times[::2], times[1::2], strict=True)} <= {2, 3}
    if data == "utterances":
        assert batch.n_samples_B.tolist() == [250]


def test_windows_shorter_than_all_utterances_are_refused(batches):
    with pytest.raises(K2DError, match=r"window_s is 0.3, and every utterance of the pool is longer; increase it"):
        batches(window_s=0.3)


def test_parts_and_processes_share_the_same_samples(batches):
    whole = batches(batch_size=12, token_noise=0.3)[7][0]
    parts = batches(batch_size=12, token_noise=0.3, accumulate=3)[7]
    assert [len(part.ids) for part in parts] == [4, 4, 4]
    assert tuple(key for part in parts for key in part.ids) == whole.ids
    ranks = [batches(batch_size=12, token_noise=0.3, rank=rank, world=2)[7][0] for rank in range(2)]
    assert tuple(key for pair in zip(*(r.ids for r in ranks), strict=True) for key in pair) == whole.ids
    assert ranks[1].speech_BN[2].equal(whole.speech_BN[5])


@pytest.mark.parametrize("data", ["windows", "utterances"])
def test_workers_make_the_same_batches_as_the_process_itself(batches, data):
    from k2d.train.batches import StepLoader

    made = batches(batch_size=4, data=data)
    for_all = [list(StepLoader(made, 3, 9, n_workers)) for n_workers in (0, 2)]
    assert len(for_all[0]) == 6
    for alone, by_workers in zip(*for_all, strict=True):
        assert same(alone[0], by_workers[0])
    assert same(for_all[0][2][0], made[5][0])  # wherever it begins


@pytest.mark.parametrize("data", ["windows", "utterances"])
def test_kept_batches_are_repeated_with_other_noise_and_without_audio(batches, data):
    kept = {"batch_size": 4, "data": data, "train": "decoder", "keep_batches": 3, "token_noise": 0.5}
    made = batches(**kept)
    (first,), (again,), (other,) = made[1], made[4], made[2]
    assert (first.kept_as, again.kept_as, other.kept_as) == ((1, 0), (1, 0), (2, 0))
    assert first.ids == again.ids != other.ids
    assert first.targets_BL.equal(again.targets_BL)
    assert not first.inputs_BL.equal(again.inputs_BL)
    assert first.speech_BN.shape[1] > 0
    assert again.speech_BN.shape[1] == 0
    (resumed,) = batches(first_step=4, **kept)[4]  # kept batches are lost after a stop
    assert resumed.speech_BN.equal(first.speech_BN)
    assert resumed.inputs_BL.equal(again.inputs_BL)


@pytest.mark.parametrize("other", [{"seed": 2}, {"number": 1}])
def test_seeds_and_phases_have_different_data(batches, other):
    assert not same(batches(batch_size=4)[0][0], batches(batch_size=4, **other)[0][0])
    assert not same(batches(batch_size=4)[0][0], batches(batch_size=4)[1][0])


def test_token_noise_replaces_only_words(batches, fake):
    clean, noisy = (batches(batch_size=64, token_noise=share, augment=PLAIN)[0][0] for share in (0.0, 0.5))
    assert clean.targets_BL.equal(noisy.targets_BL)
    is_word = clean.inputs_BL >= fake.FIRST_LETTER
    changed = clean.inputs_BL != noisy.inputs_BL
    assert not changed[~is_word].any()
    assert 0.35 < changed[is_word].float().mean() < 0.5  # a word may be replaced by itself
    known = set(fake.material().words().tolist())
    assert set(noisy.inputs_BL[is_word].tolist()) <= known


def test_examples():
    from k2d.train import batches, keys

    results = [doctest.testmod(module) for module in (batches, keys)]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 2
