"""The rules for timestamps, compared with ESPnet's own ScoreFilter."""

import random

import pytest

from k2d.models.codec import Request

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def score_filter(tiny):
    from espnet2.bin.s2t_inference import ScoreFilter

    codec = tiny.codec
    return ScoreFilter(
        notimestamps=codec.id_of("<notimestamps>"),
        first_time=codec.first_time_id,
        last_time=codec.last_time_id,
        sos=codec.id_of("<sos>"),
        eos=codec.eos_id,
        vocab_size=len(codec.tokens),
    )


def prefix(codec, rng, length):
    """Mostly times and words, sometimes symbols that the filter handles. Most prefixes are illegal."""
    kinds = [
        lambda: rng.randint(codec.first_time_id, codec.last_time_id),
        lambda: rng.randint(codec.last_time_id + 1, len(codec.tokens) - 4),
        lambda: codec.id_of(rng.choice(["<notimestamps>", "<sos>", "<eos>", "<zho>"])),
    ]
    return [rng.choices(kinds, weights=(6, 6, 1))[0]() for _ in range(length)]


def legal_prefix(codec, rng, length):
    """The text of a model that follows the rules: start, words, end, start, words, end, …"""
    ids, time = [], codec.first_time_id
    while len(ids) < length:
        time = min(time + rng.randint(0, 9), codec.last_time_id - 1)
        ids.append(time)
        ids += [rng.randint(codec.last_time_id + 1, len(codec.tokens) - 4) for _ in range(rng.randint(0, 3))]
        time += 1
        ids.append(time)
    return ids[:length]


@pytest.mark.parametrize("timestamps", [True, False], ids=["times", "no times"])
@pytest.mark.parametrize("make", [prefix, legal_prefix])
def test_scores_equal_those_of_the_score_filter(tiny, score_filter, make, timestamps):
    import torch

    codec, rng, n_compared = tiny.codec, random.Random(0), 0
    request = Request(("zho",), timestamps)
    prompt = codec.prompt(request)
    for length in range(13):
        generated = [make(codec, rng, length) for _ in range(24)]
        logits = torch.randn(24, len(codec.tokens))
        found = tiny.constrain(logits, torch.tensor(generated, dtype=torch.long).view(24, length), request)
        sequences = torch.tensor([prompt + ids for ids in generated])
        allowed, _ = score_filter.batch_score(sequences, [None] * 24, logits)
        torch.testing.assert_close(found, logits.log_softmax(-1) + allowed, rtol=0, atol=0)
        n_compared += int(torch.isinf(found).sum())
    assert n_compared > 1000


def test_rules_compute_in_float32_for_half_precision(tiny):
    import torch

    found = tiny.constrain(torch.zeros(1, len(tiny.codec.tokens)).bfloat16(), torch.zeros(1, 0).long(), Request())
    assert found.dtype == torch.float32
