"""The Whisper recogniser compared with openai-whisper on the same weights."""

import pytest
import torch
from whisper_made import ENGLISH, TINY, V3, write_hugging_face, write_openai

from k2d.core.errors import K2DError, UsageError
from k2d.models.interface import Request
from k2d.models.registry import family_of, load_recogniser
from k2d.models.whisper.recogniser import load_whisper

whisper = pytest.importorskip("whisper")
CASES = {"multilingual": (TINY, ("zh",)), "english": (ENGLISH, ()), "v3": (V3, ("yue",))}


@pytest.fixture(scope="module", params=CASES)
def pair(request, tmp_path_factory):
    """K2D's network, openai-whisper's, and the language of requests to K2D's."""
    dims, languages = CASES[request.param]
    path = write_openai(tmp_path_factory.mktemp("whisper") / "tiny.pt", dims)
    return load_whisper(path, languages), whisper.load_model(str(path), device="cpu"), languages


def speech(n_windows=3, n_samples=100_000):
    loud = torch.tensor([0.3, 0.01, 0.1])[:n_windows, None]
    return torch.randn(n_windows, n_samples, generator=torch.Generator().manual_seed(0)) * loud


def mel(speech_BN, n_mels):
    return torch.stack([whisper.log_mel_spectrogram(whisper.pad_or_trim(one), n_mels) for one in speech_BN])


@pytest.mark.slow
def test_the_encoder_equals_that_of_openai_whisper(pair):
    ours, theirs, _ = pair
    with torch.no_grad():
        expected = theirs.encoder(mel(speech(), theirs.dims.n_mels))
    assert torch.allclose(ours.encode(speech()).states_BTD, expected, atol=1e-5)


@pytest.mark.slow
def test_teacher_forced_and_stepwise_logits_equal_those_of_openai_whisper(pair):
    """One token at a time, as beams of a window, some windows kept and rows reordered."""
    ours, theirs, languages = pair
    memory, prompt = ours.encode(speech()), ours.codec.prompt(Request(languages))
    ids = torch.tensor([[*prompt, 50_400, 1000 + n, 2000, 3000] for n in range(3)])
    with torch.no_grad():
        expected = theirs.logits(ids, memory.states_BTD)
        assert torch.allclose(ours.logits(memory, ids), expected, atol=1e-5)
        started = ours.start(memory, Request(languages))
        logits = [started.logits_RV, *(started.decoding.step(ids[:, n]) for n in range(len(prompt), ids.shape[1]))]
    assert torch.allclose(torch.stack(logits, 1), expected[:, len(prompt) - 1 :], atol=1e-4)
    started.decoding.keep(torch.tensor([0, 2]))
    started.decoding.fan_out(2)
    started.decoding.reorder(torch.tensor([1, 0, 3, 2]))
    with torch.no_grad():
        longer = torch.cat([ids[[0, 2]], torch.tensor([[7], [8]])], 1)
        expected = theirs.logits(longer, memory.states_BTD[[0, 2]])[:, -1]
        stepped = started.decoding.step(torch.tensor([7, 7, 8, 8]))
    assert torch.allclose(stepped, expected.repeat_interleave(2, 0), atol=1e-4)


@pytest.mark.parametrize("timestamps", [True, False])
@pytest.mark.slow
def test_greedy_text_and_confidence_equal_those_of_openai_whisper(pair, timestamps):
    from k2d.decode.greedy import greedy
    from k2d.decode.search import Search

    ours, theirs, languages = pair
    wanted = Request(languages, timestamps)
    memory = ours.encode(speech())
    started = ours.start(memory, wanted)
    found = greedy(started.decoding, started.logits_RV, Search(ours, wanted, [80] * 3))
    options = whisper.DecodingOptions(
        language=languages[0] if languages else "en", without_timestamps=not timestamps, sample_len=80, fp16=False
    )
    expected = theirs.decode(memory.states_BTD, options)
    assert [list(one.ids) for one in found] == [one.tokens for one in expected]
    assert len({one.ids for one in found}) > 1, "windows that sound different say different things"
    silence = [one.no_speech_prob for one in expected]
    assert started.silence_B.tolist() == pytest.approx(silence, rel=1e-3)
    assert [one.mean_with_end for one in found] == pytest.approx([one.avg_logprob for one in expected], abs=1e-4)


def test_the_rules_equal_those_of_openai_whisper_in_each_state(pair):
    """Compared with openai-whisper's own filters, on random logits in which any token can be the best."""
    from whisper.decoding import ApplyTimestampRules, SuppressBlank, SuppressTokens

    ours, theirs, languages = pair
    time = ours.codec.first_time_id
    task = whisper.decoding.DecodingTask(theirs, whisper.DecodingOptions(fp16=False))
    states = [[], [time], [time, 11], [time, 11, time + 5], [time, 11, time + 5, time + 5], [11, 12], [time + 9, 1, 2]]
    generator = torch.Generator().manual_seed(1)
    for state in states:
        logits = torch.randn(4, theirs.dims.n_vocab, generator=generator) * 3
        logits[1:3, time:] += 4
        expected, generated = logits.clone(), torch.tensor([state] * 4).reshape(4, -1)
        assert {type(each) for each in task.logit_filters} == {ApplyTimestampRules, SuppressBlank, SuppressTokens}
        prompt = torch.zeros(4, task.sample_begin, dtype=torch.long)
        for each in task.logit_filters:
            each.apply(expected, torch.cat([prompt, generated.long()], 1))
        found = ours.constrain(logits, generated.long(), Request(languages))
        assert torch.allclose(found, expected.log_softmax(-1), atol=1e-5), state


def test_a_language_is_guessed_for_each_window(tmp_path):
    path = write_openai(tmp_path / "tiny.pt")
    ours, theirs = load_whisper(path), whisper.load_model(str(path), device="cpu")
    memory = ours.encode(speech())
    guessed = [max(each, key=each.get) for each in theirs.detect_language(memory.states_BTD)[1]]
    started = ours.start(memory, Request(), [[11, 12, 13], [], [14]])
    assert list(started.languages) == guessed
    assert ours.start(memory, Request(("de",))).languages == ("de",) * 3


def test_previous_text_is_put_before_the_prompt_as_in_openai_whisper(tmp_path):
    path = write_openai(tmp_path / "tiny.pt")
    ours, theirs = load_whisper(path, ("zh",)), whisper.load_model(str(path), device="cpu")
    memory, before = ours.encode(speech(2)), [list(range(1000, 1300)), [11, 12]]
    started = ours.start(memory, Request(), before)
    for n, ids in enumerate(before):
        task = whisper.decoding.DecodingTask(theirs, whisper.DecodingOptions(language="zh", prompt=ids, fp16=False))
        with torch.no_grad():
            expected = theirs.logits(torch.tensor([task.initial_tokens]), memory.states_BTD[n : n + 1])[0]
        assert torch.allclose(started.logits_RV[n], expected[-1], atol=1e-4)
        silence = expected[task.sot_index].softmax(-1)[ours.codec.tokenizer.no_speech]
        assert float(started.silence_B[n]) == pytest.approx(float(silence), rel=1e-3)


class TestMixedLanguages:
    def test_the_vector_of_several_languages_is_their_mean(self, tmp_path):
        """A model in which the embedding of Chinese is that mean writes the same text with Chinese alone."""
        path = write_openai(tmp_path / "tiny.pt")
        mixed, plain = load_whisper(path, ("zh", "en")), load_whisper(path, ("zh",))
        zh, en = (plain.codec.language_id(name) for name in ("zh", "en"))
        embedding = plain.network.decoder.token_embedding.weight
        with torch.no_grad():
            embedding[zh] = (embedding[zh] + embedding[en]) / 2
        memory, wanted = mixed.encode(speech(1)), Request(("zh", "en"))
        ids, n_prompt = mixed.codec.label("<0.00>你好<1.00>", wanted)
        same = [zh if token == mixed.codec.mixture_id else token for token in ids]
        assert n_prompt == 3
        assert same != ids
        keep = [n for n in range(TINY.n_vocab) if n != zh]  # its own output changed with the embedding
        with torch.no_grad():
            ours = mixed.logits(memory, torch.tensor([ids]))[..., keep]
            assert torch.allclose(ours, plain.logits(memory, torch.tensor([same]))[..., keep], atol=1e-5)
            started = mixed.start(memory, wanted)
            assert torch.allclose(started.logits_RV[0, keep], ours[0, 2], atol=1e-4)
        assert started.languages == ("zh+en",)

    def test_the_vectors_of_both_languages_learn(self, tmp_path):
        mixed = load_whisper(write_openai(tmp_path / "tiny.pt"), ("zh", "en"))
        ids, _ = mixed.codec.label("", Request())
        mixed.hidden(mixed.encode(speech(1)), torch.tensor([ids])).sum().backward()
        gradient = mixed.network.decoder.token_embedding.weight.grad
        zh, en, de = (mixed.codec.language_id(name) for name in ("zh", "en", "de"))
        assert gradient[zh].abs().sum() > 0
        assert torch.equal(gradient[zh], gradient[en])
        assert gradient[de].abs().sum() == 0

    def test_other_languages_than_the_loaded_ones_are_refused(self, tmp_path):
        mixed = load_whisper(write_openai(tmp_path / "tiny.pt"), ("zh", "en"))
        with pytest.raises(UsageError, match="the model was loaded for zh, en; name these there"):
            mixed.codec.prompt(Request(("zh", "de")))
        assert mixed.codec.prompt(Request(("en", "zh"))) == mixed.codec.prompt(Request())


def test_a_saved_folder_is_loaded_here_and_in_openai_whisper(tmp_path):
    settings = {"suppress_tokens": [7], "begin_suppress_tokens": [220, 50257], "language": "chinese"}
    ours = load_recogniser(write_hugging_face(tmp_path / "huggingface", **settings), family="whisper")
    ours.save(tmp_path / "ours")
    again = load_recogniser(tmp_path / "ours")
    theirs = whisper.load_model(str(tmp_path / "ours" / "model.pt"), device="cpu")
    prompt = torch.tensor([ours.codec.prompt(Request())])
    with torch.no_grad():
        memory = ours.encode(speech(1))
        assert torch.equal(again.logits(again.encode(speech(1)), prompt), ours.logits(memory, prompt))
        assert torch.allclose(theirs.logits(prompt, memory.states_BTD), ours.logits(memory, prompt), atol=1e-5)
    assert again.codec.languages == ("zh",)
    assert again.generation == ours.generation
    assert again.codec.vocabulary_hash == ours.codec.vocabulary_hash
    masked = again.constrain(torch.zeros(1, TINY.n_vocab), torch.tensor([[11]]), Request(timestamps=False))[0]
    assert masked[7] == -torch.inf
    assert masked[8] > -torch.inf, "the checkpoint's list is in place of Whisper's own"


def test_the_rules_follow_the_generation_config(tmp_path):
    settings = {"suppress_tokens": [1, 2], "begin_suppress_tokens": [3], "max_initial_timestamp_index": 10}
    ours = load_whisper(write_hugging_face(tmp_path, **settings), ("zh",))
    first = ours.constrain(torch.zeros(1, TINY.n_vocab), torch.zeros(1, 0, dtype=torch.long), Request())[0]
    times = ours.codec.first_time_id
    assert (first > -torch.inf).nonzero().flatten().tolist() == list(range(times, times + 11))
    plain = ours.constrain(torch.zeros(1, TINY.n_vocab), torch.zeros(1, 0, dtype=torch.long), Request(timestamps=False))
    assert (plain[0, [1, 2, 3]] == -torch.inf).all()
    assert (plain[0, [4, 220]] > -torch.inf).all()


def test_a_student_with_fewer_layers_has_the_teachers_others(tmp_path):
    teacher = load_whisper(write_openai(tmp_path / "tiny.pt"), ("zh", "en"))
    student = teacher.with_decoder_layers([0, 2])
    theirs, ours = teacher.network.state_dict(), student.network.state_dict()
    assert student.n_decoder_layers == 2
    assert sum(student.n_parameters().values()) == sum(p.numel() for p in student.network.parameters())
    assert torch.equal(ours["decoder.blocks.1.mlp.0.weight"], theirs["decoder.blocks.2.mlp.0.weight"])
    assert torch.equal(ours["encoder.blocks.0.attn.key.weight"], theirs["encoder.blocks.0.attn.key.weight"])
    assert student.codec.mixture == teacher.codec.mixture
    student.save(tmp_path / "student")
    assert load_whisper(tmp_path / "student").dims.n_text_layer == 2


@pytest.mark.slow
def test_half_precision_gives_nearly_the_same(tmp_path):
    path = write_openai(tmp_path / "tiny.pt")
    whole, half = load_recogniser(path, languages=("zh",)), load_recogniser(path, precision="bf16", languages=("zh",))
    assert half.dtype == torch.bfloat16
    started = [each.start(each.encode(speech()), Request()) for each in (whole, half)]
    a, b = (each.logits_RV.float() for each in started)
    assert torch.nn.functional.cosine_similarity(a, b).min() > 0.99
    b = started[1].decoding.step(torch.tensor([50_364] * 3)).float()
    a = started[0].decoding.step(torch.tensor([50_364] * 3))
    assert torch.nn.functional.cosine_similarity(a, b).min() > 0.99
    double = load_recogniser(path, precision="fp64", languages=("zh",))
    c = double.start(double.encode(speech()), Request()).logits_RV
    assert torch.nn.functional.cosine_similarity(started[0].logits_RV.double(), c).min() > 0.9999
    with pytest.raises(UsageError, match="fp16: for GPUs only"):
        load_recogniser(path, precision="fp16")


def test_training_in_bf16_uses_the_features_of_decoding(tmp_path):
    """Mel bands in mixed precision would differ from the features used in decoding."""
    model = load_recogniser(write_openai(tmp_path / "tiny.pt"), languages=("zh",))
    features = []
    model.encoded = lambda features_MF: features.append(torch.stack(list(features_MF)))
    model.encode(speech())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model.encode(speech())
    assert features[1].equal(features[0])


# --- names, and what is refused ---


def test_the_family_is_recognised_by_the_files(tmp_path):
    assert family_of(write_openai(tmp_path / "a" / "tiny.pt")).name == "whisper"
    assert family_of(write_hugging_face(tmp_path / "huggingface")).name == "whisper"
    assert family_of(tmp_path).name == "espnet_s2t"


def test_an_unknown_name_is_reported_with_the_known_ones(tmp_path):
    with pytest.raises(
        K2DError, match="large-v9: no published Whisper model has this name; expected one of tiny, base"
    ):
        load_whisper("large-v9")
    with pytest.raises(K2DError, match="there is no such Whisper model"):
        load_whisper(tmp_path / "model")


def test_languages_that_a_model_does_not_have_are_refused(tmp_path):
    with pytest.raises(UsageError, match="language 'yue' is not one of this model's"):
        load_whisper(write_openai(tmp_path / "tiny.pt"), ("yue",))
    with pytest.raises(UsageError, match=r"English-only; take one without \.en"):
        load_whisper(write_openai(tmp_path / "tiny.en.pt", ENGLISH), ("zh",))
