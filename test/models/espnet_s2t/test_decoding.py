"""The cached decoder gives the logits of the teacher-forced one, also after changes of its rows."""

import copy

import pytest
from models_made import MINI, made_recogniser

from k2d.models.codec import Request

pytestmark = pytest.mark.slow
PREVIOUS = ["", "hello world", "你 know"]


def speech(n_windows, seed=0):
    import torch

    return torch.randn(n_windows, MINI.n_samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def some_tokens(recogniser, n_rows, n_tokens):
    import torch

    return torch.randint(
        0, len(recogniser.codec.tokens), (n_rows, n_tokens), generator=torch.Generator().manual_seed(1)
    )


def teacher_forced(recogniser, memory, prompts, generated_RL):
    """Logits after all tokens, for each window separately."""
    import torch

    found = []
    for n, prompt in enumerate(prompts):
        sequence = torch.tensor([[*prompt, *generated_RL[n].tolist()]])
        with torch.no_grad():
            found.append(recogniser.logits(memory.rows(torch.tensor([n])), sequence)[0, -1])
    return torch.stack(found)


def assert_equal(found, expected):
    import torch

    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@pytest.fixture(scope="module")
def memory(tiny64):
    import torch

    with torch.no_grad():
        return tiny64.encode(speech(3))


@pytest.mark.parametrize("with_previous", [False, True], ids=["alone", "with previous text"])
def test_every_step_equals_the_teacher_forced_logits(tiny64, memory, with_previous):
    request = Request(("zho",))
    previous = [tiny64.codec.ids(text) for text in PREVIOUS] if with_previous else [[], [], []]
    prompts = [tiny64.codec.prompt(request, ids) for ids in previous]
    started = tiny64.start(memory, request, previous if with_previous else None)
    tokens = some_tokens(tiny64, 3, 130)  # more than the cache has room for at first, and than twice that
    assert_equal(started.logits_RV, teacher_forced(tiny64, memory, prompts, tokens[:, :0]))
    for n in range(130):
        logits = started.decoding.step(tokens[:, n])
        if n in (0, 1, 60, 61, 129):
            assert_equal(logits, teacher_forced(tiny64, memory, prompts, tokens[:, : n + 1]))


def test_windows_can_be_removed(tiny64, memory):
    import torch

    request = Request(("zho",))
    previous = [tiny64.codec.ids(text) for text in PREVIOUS]
    prompts = [tiny64.codec.prompt(request, ids) for ids in previous]
    tokens = some_tokens(tiny64, 3, 4)
    decoding = tiny64.start(memory, request, previous).decoding
    for n in range(3):
        decoding.step(tokens[:, n])
    kept = torch.tensor([0, 2])
    decoding.keep(kept)
    left = [prompts[0], prompts[2]]
    assert_equal(decoding.step(tokens[kept, 3]), teacher_forced(tiny64, memory.rows(kept), left, tokens[kept]))


def test_beams_share_a_window_and_can_be_reordered(tiny64, memory):
    import torch

    request = Request(("zho",))
    previous = [tiny64.codec.ids(text) for text in PREVIOUS]
    prompts = [tiny64.codec.prompt(request, ids) for ids in previous]
    decoding = tiny64.start(memory, request, previous).decoding
    decoding.fan_out(2)
    first = some_tokens(tiny64, 6, 2)
    decoding.step(first[:, 0])
    decoding.step(first[:, 1])
    rows = torch.tensor([1, 1, 2, 3, 5, 4])  # of the first window only its second beam lives on
    decoding.reorder(rows)
    decoding.keep(torch.tensor([0, 2]))
    alive = rows[[0, 1, 4, 5]]
    last = torch.tensor([7, 8, 9, 10])
    sequences = torch.cat((first[alive], last.unsqueeze(1)), dim=1)
    of_window = torch.tensor([0, 0, 2, 2])
    expected = teacher_forced(tiny64, memory.rows(of_window), [prompts[n] for n in of_window], sequences)
    assert_equal(decoding.step(last), expected)


@pytest.mark.parametrize("kind", [{"normalize_before": False}, {"qk_norm": True}], ids=["post-norm", "qk-norm"])
def test_other_kinds_of_decoder(tmp_path, kind):
    import torch

    other = made_recogniser(tmp_path, seed=3, **kind).to("cpu", torch.float64)
    with torch.no_grad():
        memory = other.encode(speech(2))
    request = Request(("zho",), timestamps=False)
    started = other.start(memory, request)
    tokens = some_tokens(other, 2, 3)
    for n in range(3):
        logits = started.decoding.step(tokens[:, n])
    prompts = [other.codec.prompt(request)] * 2
    assert_equal(logits, teacher_forced(other, memory, prompts, tokens))


def test_decoding_follows_the_weights_of_a_network_in_training(tiny64, memory):
    import torch

    changed = copy.deepcopy(tiny64)
    request = Request(("zho",))
    before = changed.start(memory, request).logits_RV
    with torch.no_grad():
        changed.network.decoder.decoders[0].self_attn.linear_q.weight.mul_(2)
    after = changed.start(memory, request).logits_RV
    assert not torch.allclose(before, after)
    assert_equal(after, teacher_forced(changed, memory, [changed.codec.prompt(request)] * 3, some_tokens(tiny64, 3, 0)))


def test_the_no_speech_probability_is_read_at_the_language(tiny64, memory):
    """The probability of <nospeech> at the place of the language in the prompt, with any text before it."""
    import torch

    request, previous = Request(("zho",)), [tiny64.codec.ids(text) for text in PREVIOUS]
    started = tiny64.start(memory, request, previous)
    for n, ids in enumerate(previous):
        begun = tiny64.codec.prompt(request, ids)[:-2]  # up to <sos>
        logits = tiny64.logits(memory.rows(torch.tensor([n])), torch.tensor([begun]))[0, -1]
        expected = logits.softmax(-1)[tiny64.codec.id_of("<nospeech>")]
        assert started.silence_B[n].item() == pytest.approx(expected.item(), rel=1e-5)
    assert started.languages == ("zho", "zho", "zho")
