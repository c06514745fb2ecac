"""How well a label fits its audio: probabilities by hand and by enumeration, and labels that cannot fit."""

import math

import numpy as np
import pytest
import torch
from enumerated_ctc import BLANK, log_probs, total
from hypothesis import given
from hypothesis import strategies as st

from k2d.data.audio import write
from k2d.decode.alignment import AlignedLabel, align_labels, aligned
from k2d.decode.sources import Clip, Failed


def test_two_frames_by_hand():
    """Word 1 has 3/4 in each frame, word 2 and the blank 0 have 1/8."""
    log_probs_TV = torch.tensor([[1 / 8, 3 / 4, 1 / 8]] * 2).log()
    found = aligned("c1", 0.08, [2], log_probs_TV, BLANK)
    # The best path spells word 1: in both frames, or in one of them beside a blank. So does word 2 as a label.
    assert math.exp(found.own_logprob) == pytest.approx(9 / 16 + 2 * 3 / 32)
    assert math.exp(found.logprob) == pytest.approx(1 / 64 + 2 / 64)
    assert found.distance == pytest.approx(math.log(16) / (1 + math.log(16)))  # 3/64 is a sixteenth of 3/4
    assert (found.n_tokens, found.n_own_tokens) == (1, 1)


@given(st.lists(st.integers(1, 3), max_size=3), st.integers(0, 50))
def test_the_probability_is_that_of_all_paths_that_spell_the_label(ids, seed):
    log_probs_TV = log_probs(1, 4, 4, seed)[0]
    found = aligned("c1", 0.16, ids, log_probs_TV, BLANK)
    expected = total(log_probs_TV, lambda text: text == tuple(ids))
    assert (0.0 if found.logprob is None else math.exp(found.logprob)) == pytest.approx(expected, abs=1e-9)


def test_a_label_with_more_tokens_than_frames_is_as_far_as_can_be():
    found = aligned("c1", 0.08, [1, 1], log_probs(1, 2, 4)[0], BLANK)  # two equal tokens need a blank between them
    assert found.logprob is None
    assert found.distance == 1.0


@pytest.mark.parametrize(
    ("logprob", "own_logprob", "distance"), [(-4.0, -4.0, 0.0), (-3.0, -4.0, 0.0), (-10.0, -4.0, 0.75)]
)
def test_the_distance_is_per_token_and_never_below_zero(logprob, own_logprob, distance):
    assert AlignedLabel("c1", 1.0, 2, 1, logprob, own_logprob).distance == pytest.approx(distance)


@pytest.mark.slow
def test_clips_are_aligned_in_their_order_whatever_the_batch(tmp_path, recogniser):
    generator = np.random.default_rng(1)
    for name, seconds in (("a", 2.0), ("b", 5.0), ("c", 3.0)):
        write(tmp_path / f"{name}.wav", generator.normal(0, 0.1, int(16000 * seconds)).astype(np.float32), 16000)
    clips = [Clip(name, str(tmp_path / f"{name}.wav")) for name in ("a", "missing", "b", "c")]
    labels = {"a": "我们 today", "missing": "好", "b": "", "c": "我们" * 30}
    seen = []
    alone, together = (
        list(align_labels(recogniser, clips, labels, size, lambda clip: seen.append(clip.id))) for size in (1, 4)
    )
    assert seen == ["a", "missing", "b", "c"] * 2
    assert isinstance(alone[1], Failed)
    assert isinstance(together[1], Failed)
    for one, other in zip(alone, together, strict=True):
        if isinstance(one, AlignedLabel):
            assert one.id == other.id
            assert one.distance == pytest.approx(other.distance, abs=1e-5)
    assert alone[2].n_tokens == 0
    assert alone[3].n_tokens > 30


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory):
    from models_made import made_recogniser

    return made_recogniser(tmp_path_factory.mktemp("made") / "base", seed=1, num_blocks=2)
