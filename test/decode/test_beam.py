"""A beam search that drops no sequence finds the best one."""

import math
import random

import pytest
from decode_fake import EOS, FIRST_LETTER, N_IDS, FakeRecogniser, write_tape
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.decode.clips import decode_clips
from k2d.decode.options import Options
from k2d.decode.sources import Clip

TOKENS = [EOS, FIRST_LETTER, FIRST_LETTER + 1, FIRST_LETTER + 2]
BUDGET = 4


def logits_of(prefix: tuple[int, ...], seed: int) -> list[float]:
    chance = random.Random(repr((seed, prefix)))
    found = [-1e9] * N_IDS
    for token in TOKENS:
        found[token] = chance.gauss(0, 1.5)
    return found


def all_sequences(seed: int, prefix: tuple[int, ...] = (), score: float = 0.0):
    """All sequences with their log-probabilities. A sequence ends with the end token or at the budget."""
    if len(prefix) == BUDGET:
        yield score, prefix
        return
    logits = logits_of(prefix, seed)
    norm = math.log(sum(math.exp(logits[token]) for token in TOKENS))
    for token in TOKENS:
        new = score + logits[token] - norm
        if token == EOS:
            yield new, prefix
        else:
            yield from all_sequences(seed, (*prefix, token), new)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
@pytest.mark.slow
def test_a_wide_beam_is_exhaustive(tmp_path_factory, seed):
    path = str(write_tape(tmp_path_factory.mktemp("tape") / "a.wav", "a"))
    recogniser = FakeRecogniser(lambda tape, prefix: logits_of(prefix, seed))
    options = Options(timestamps=False, beam=30, max_tokens=BUDGET)
    (found,) = decode_clips(recogniser, [Clip("a", path)], options)
    score, best = max(all_sequences(seed))
    n_scored = len(best) + (len(best) < BUDGET)
    assert found.text == recogniser.codec.text(best)
    assert found.n_tokens == n_scored
    assert found.mean_logprob == pytest.approx(score / n_scored, abs=0.0051)


def test_a_beam_finds_a_better_text_than_greedy_search(tmp_path):
    """`a` is more likely at first (0.6), but the end is more likely after `b`: 0.4 × 0.9 > 0.6 × 0.5."""
    a, b = TOKENS[1:3]
    table = {(): {a: 0.6, b: 0.4}, (a,): {EOS: 0.5, a: 0.25, b: 0.25}, (b,): {EOS: 0.9, a: 0.05, b: 0.05}}

    def next_logits(tape, prefix):
        shares = table.get(prefix, {EOS: 1.0})
        return [math.log(shares[token]) if token in shares else -1e9 for token in range(N_IDS)]

    path = str(write_tape(tmp_path / "a.wav", "a"))
    for beam, text, score in ((1, "a", 0.3), (2, "b", 0.36)):
        options = Options(timestamps=False, beam=beam)
        (found,) = decode_clips(FakeRecogniser(next_logits), [Clip("a", path)], options)
        assert (found.text, found.mean_logprob) == (text, round(math.log(score) / 2, 2))


def test_the_search_ends_when_no_beam_can_become_the_best(tmp_path):
    """The end after one letter has probability 0.99, so the other beams need no second step."""

    def next_logits(tape, prefix):
        return [5.0 if token == (EOS if prefix else FIRST_LETTER) else 0.0 for token in range(N_IDS)]

    path = str(write_tape(tmp_path / "a.wav", "a"))
    recogniser = FakeRecogniser(next_logits)
    (found,) = decode_clips(recogniser, [Clip("a", path)], Options(timestamps=False, beam=4))
    assert (found.text, found.n_tokens, recogniser.n_steps) == ("a", 2, 1)
