"""CTC: the best path, and prefix scores compared with all paths and with ESPnet."""

import math

import pytest
import torch
from enumerated_ctc import BLANK, log_probs, total
from espnet.nets.ctc_prefix_score import CTCPrefixScoreTH
from hypothesis import given
from hypothesis import strategies as st

from k2d.decode.ctc import PrefixScorer, best_paths, collapsed

EOS = 3


@given(st.lists(st.integers(1, 4), max_size=6), st.data())
def test_collapsing_removes_repetitions_and_blanks(ids, data):
    path = []
    for before, token in zip([None, *ids], ids, strict=False):
        path += [BLANK] * data.draw(st.integers(1 if token == before else 0, 3))
        path += [token] * data.draw(st.integers(1, 3))
    assert collapsed(path + [BLANK] * data.draw(st.integers(0, 2)), BLANK) == tuple(ids)


def test_best_paths_by_hand():
    probabilities = torch.tensor([[[0.1, 0.9], [0.6, 0.4], [0.2, 0.8]], [[0.7, 0.3], [0.9, 0.1], [0.5, 0.5]]])
    one, other = best_paths(probabilities.log(), blank_id=0)
    assert (one.ids, other.ids) == ((1, 1), ())
    assert one.logprob == pytest.approx(math.log(0.9 * 0.6 * 0.8))
    assert one.mean_logprob == round(math.log(0.9 * 0.6 * 0.8) / 3, 2)


def test_prefix_scores_of_two_frames_by_hand_with_the_blank_after_the_words():
    """In each frame, word 0 has 1/2, the blank 1 has 1/4, word 2 and the end 3 have 1/8 each. CTC alone decides."""
    log_probs_WTV = torch.tensor([[[1 / 2, 1 / 4, 1 / 8, 1 / 8]] * 2], dtype=torch.double).log()
    scorer = PrefixScorer(log_probs_WTV, 2, blank_id=1, eos_id=3, weight=1.0)
    attention_RV = torch.tensor([[-1.0, -9.0, -1.0, -9.0]], dtype=torch.double).repeat(2, 1)

    # The frames begin with word 0: it is in the first frame, or behind a blank. They are empty: two blanks.
    first_V = scorer.mixed(attention_RV.clone())[0].exp().tolist()
    assert first_V == pytest.approx([1 / 2 + 1 / 8, 0, 1 / 8 + 1 / 32, 1 / 16])

    scorer.follow(torch.tensor([0, 0]), torch.tensor([0, 2]))
    after_0_V, after_2_V = scorer.mixed(attention_RV.clone()).exp().tolist()
    # After 0: another 0 needs a blank and so a third frame; 2 follows in the second frame; nothing follows `00`, `0 `
    # and ` 0`. Each is divided by the 5/8 of everything that begins with 0.
    assert after_0_V == pytest.approx([0, 0, (1 / 16) / (5 / 8), (1 / 4 + 1 / 8 + 1 / 8) / (5 / 8)], abs=1e-9)
    assert after_2_V == pytest.approx([(1 / 16) / (5 / 32), 0, 0, (1 / 64 + 1 / 32 + 1 / 32) / (5 / 32)], abs=1e-9)


def test_prefix_scores_equal_the_sum_over_all_paths():
    """Two beams follow different paths through 5 frames. Each score is the change in the prefix's probability."""
    log_probs_TV = log_probs(1, 5, 4)[0]
    scorer = PrefixScorer(log_probs_TV[None], 2, blank_id=BLANK, eos_id=EOS, weight=0.5)
    attention_RV = torch.zeros(2, 4, dtype=torch.double)
    attention_RV[:, BLANK] = -9.0  # all but the blank are candidates
    prefixes, checked = [(), ()], 0
    for tokens in ([1, 2], [1, 1], [2, 1], [1, 2]):
        mixed_RV = scorer.mixed(attention_RV)
        for row, prefix in enumerate(prefixes):
            before = total(log_probs_TV, lambda text, p=prefix: text[: len(p)] == p)
            ended = total(log_probs_TV, lambda text, p=prefix: text == p)
            assert mixed_RV[row, EOS].item() == pytest.approx(0.5 * math.log(ended / before))
            for token in (1, 2):
                longer = (*prefix, token)
                begun = total(log_probs_TV, lambda text, p=longer: text[: len(p)] == p)
                if begun > 0:
                    assert mixed_RV[row, token].item() == pytest.approx(0.5 * math.log(begun / before))
                    checked += 1
        scorer.follow(torch.tensor([0, 1]), torch.tensor(tokens))
        prefixes = [(*prefix, token) for prefix, token in zip(prefixes, tokens, strict=True)]
    assert checked >= 12


def test_with_timestamps_ctc_ranks_words_and_decides_whether_one_follows():
    """Ids 1 and 2 are words, ids 4 to 6 are times. The expected values are sums over all paths through 5 frames."""
    log_probs_TV = log_probs(1, 5, 7)[0]
    log_probs_TV[:, [EOS, 4, 5, 6]] = -math.inf
    log_probs_TV = log_probs_TV.log_softmax(-1)

    def begun(prefix):
        return total(log_probs_TV[:, :3], lambda text: text[: len(prefix)] == prefix)

    def ended(prefix):
        return total(log_probs_TV[:, :3], lambda text: text == prefix)

    scorer = PrefixScorer(log_probs_TV[None], 1, blank_id=BLANK, eos_id=EOS, weight=0.5, unspoken=range(4, 7))
    words = torch.tensor([[-math.inf, -1.0, -3.0, -math.inf, -2.0, -2.5, -2.2]])  # within a segment
    between = torch.tensor([[-math.inf, -math.inf, -math.inf, -1.0, -2.0, -2.5, -2.2]])
    prefix = ()
    for token, attention_RV in ((4, words), (1, words), (5, words), (4, between), (2, words), (5, between)):
        mixed_V = scorer.mixed(attention_RV)[0]
        end = ended(prefix) / begun(prefix)
        is_between = attention_RV is between
        for time in (4, 5):
            more = math.log(1 - end) if is_between else 0.0
            assert mixed_V[time].item() == pytest.approx(0.5 * attention_RV[0, time].item() + 0.5 * more)
        if is_between:
            assert mixed_V[6].item() == -math.inf, "a segment that begins at the last time has no room"
            assert mixed_V[EOS].item() == pytest.approx(0.5 * -1.0 + 0.5 * math.log(end))
            assert mixed_V[1].item() == mixed_V[2].item() == -math.inf
        else:
            assert mixed_V[6].item() == pytest.approx(0.5 * -2.2 + 0.5 * math.log(end)), "nothing can follow it"
            following = {word: begun((*prefix, word)) for word in (1, 2)}
            for word, share in following.items():
                expected = math.log(share / sum(following.values()) * (1 - end))
                assert mixed_V[word].item() == pytest.approx(0.5 * attention_RV[0, word].item() + 0.5 * expected)
        assert mixed_V[BLANK].item() == -math.inf
        scorer.follow(torch.tensor([0]), torch.tensor([token]))
        prefix += (token,) if token in (1, 2) else ()

    over = torch.tensor([[-math.inf, -math.inf, -math.inf, -1.0, -math.inf, -math.inf, -2.2]])  # behind the last time
    mixed_V = scorer.mixed(over)[0]
    assert mixed_V[EOS].item() == pytest.approx(0.5 * -1.0), "the cost of the end was counted at the last time"
    assert mixed_V[6].item() == -math.inf


@pytest.mark.parametrize("n_prompt", [1, 4])
def test_prefix_scores_equal_those_of_espnet(n_prompt):
    """Three beams on random paths through 60 frames, in a batch with another window that ends earlier."""
    n_ids, n_beams, eos = 12, 3, 11
    log_probs_WTV = log_probs(2, 60, n_ids, seed=1)
    generator = torch.Generator().manual_seed(2)
    ours = PrefixScorer(log_probs_WTV, n_beams, blank_id=BLANK, eos_id=eos, weight=0.3, first_frame=n_prompt - 1)
    theirs = CTCPrefixScoreTH(log_probs_WTV[1:].clone(), torch.tensor([60]), BLANK, eos)
    prefixes_KL, state = torch.full((n_beams, n_prompt), eos), None
    for step, n_windows in enumerate((2, 2, 2, 1, 1, 1, 1)):
        if step == 3:
            ours.keep(torch.tensor([1]))
        scores_WKV = attention(n_windows * n_beams, n_ids, generator).view(n_windows, n_beams, n_ids)
        mixed_KV = ours.mixed(scores_WKV.flatten(0, 1)).view(scores_WKV.shape)[-1]
        candidates_KS = scores_WKV[-1].topk(4).indices
        prefix_KV, offered = theirs(prefixes_KL, state, candidates_KS)
        is_possible_KV = prefix_KV > -1e9
        assert torch.equal(is_possible_KV, mixed_KV > -1e9)
        expected_KV = 0.7 * scores_WKV[-1] + 0.3 * prefix_KV
        assert torch.allclose(mixed_KV[is_possible_KV], expected_KV[is_possible_KV], atol=1e-9)
        parents_K = torch.randint(n_beams, (n_beams,), generator=generator)
        tokens_K = candidates_KS[parents_K, torch.randint(4, (n_beams,), generator=generator)]
        follow(ours, scores_WKV, parents_K, tokens_K)
        state = theirs.index_select_state(offered, (parents_K * n_ids + tokens_K)[None])
        prefixes_KL = torch.cat((prefixes_KL[parents_K], tokens_K[:, None]), dim=1)


def attention(n_rows: int, n_ids: int, generator: torch.Generator) -> torch.Tensor:
    """Scores of a decoder that offers neither the blank nor the end."""
    scores_RV = torch.randn(n_rows, n_ids, generator=generator, dtype=torch.double)
    scores_RV[:, [BLANK, n_ids - 1]] = -50.0
    return scores_RV


def follow(ours: PrefixScorer, scores_WKV: torch.Tensor, parents_K: torch.Tensor, tokens_K: torch.Tensor) -> None:
    """The last window follows the given paths. The window before it continues with the best token of each beam."""
    n_windows, n_beams, _ = scores_WKV.shape
    n_others = (n_windows - 1) * n_beams
    best_R = scores_WKV.flatten(0, 1)[:n_others].argmax(-1)
    ours.follow(torch.cat((torch.arange(n_others), parents_K + n_others)), torch.cat((best_R, tokens_K)))
