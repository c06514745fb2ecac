"""Exports of tiny Whisper networks, loaded in openai-whisper, transformers and faster-whisper."""

import json
from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest
import torch
import whisper
from made_audio import speechlike
from whisper_made import ENGLISH, TINY, V3, made_state, write_hugging_face, write_openai
from whisper_tiny import sound, talks, tiny_checkpoint

from k2d.core.errors import K2DError
from k2d.export import ctranslate2, huggingface, openai
from k2d.export.request import ExportRequest
from k2d.models.whisper.checkpoint_files import read_whisper

pytestmark = pytest.mark.slow  # transformers takes seconds to import

DIMS = {"99 languages": TINY, "English": ENGLISH, "100 languages": V3}
WANTED = ExportRequest("k2d_per-s1", ("zh",))
SAMPLES = speechlike(70.0, seed=3).astype(np.float32)
N_TOKENS = 24


class Exported:
    """A checkpoint in all formats, with the network in openai-whisper."""

    def __init__(self, folder, dims):
        self.dims = dims
        self.model = write_openai(folder / "model.pt", dims)
        for name, module in (("openai", openai), ("huggingface", huggingface), ("ctranslate2", ctranslate2)):
            (folder / name).mkdir()
            module.write(self.model, WANTED, folder / name)
        self.folder = folder
        self.network = whisper.load_model(str(self.model), device="cpu").eval()
        self.language = "zh" if dims.is_multilingual else "en"
        self.eot = whisper.tokenizer.get_tokenizer(dims.is_multilingual).eot

    def decoded(self, **options):
        """openai-whisper's result for the first window."""
        mel = whisper.log_mel_spectrogram(SAMPLES, n_mels=self.dims.n_mels)[:, :3000]
        chosen = {"language": self.language, "temperature": 0.0, "fp16": False, "sample_len": N_TOKENS, **options}
        return whisper.decode(self.network, mel, whisper.DecodingOptions(**chosen))

    @cached_property
    def transcribed(self):
        """openai-whisper's segments of the whole recording."""
        plain = dict.fromkeys(("no_speech_threshold", "compression_ratio_threshold", "logprob_threshold"))
        options = {"condition_on_previous_text": False, "fp16": False, **plain}
        result = whisper.transcribe(self.network, SAMPLES, language=self.language, temperature=0.0, **options)
        return within([(each["start"], each["end"], each["text"]) for each in result["segments"]])

    @cached_property
    def in_transformers(self):
        """The network as transformers loads it, and what it says of the loading."""
        from transformers import WhisperForConditionalGeneration

        return WhisperForConditionalGeneration.from_pretrained(self.folder / "huggingface", output_loading_info=True)


def within(segments):
    """Segments that begin before the end of the audio. Random weights write on, and libraries differ after the end."""
    return [(round(start, 2), round(end, 2), text) for start, end, text in segments if start < len(SAMPLES) / 16_000]


@pytest.fixture(scope="module", params=DIMS)
def exported(request, tmp_path_factory):
    return Exported(tmp_path_factory.mktemp("exported"), DIMS[request.param])


def test_openai_loads_the_same_weights(exported):
    again = whisper.load_model(str(exported.folder / "openai" / "k2d_per-s1.pt"), device="cpu")
    state = again.state_dict()
    assert again.dims == exported.network.dims
    assert all(torch.equal(state[name], tensor) for name, tensor in exported.network.state_dict().items())


def test_the_text_of_the_checkpoint_is_worth_comparing(exported):
    assert len(set(exported.decoded().tokens)) > 3
    assert len(exported.transcribed) > 3


def test_transformers_gives_the_same_logits_and_greedy_text(exported):
    from transformers import WhisperProcessor

    network = exported.in_transformers[0].eval()
    processor = WhisperProcessor.from_pretrained(exported.folder / "huggingface")
    assert network.dtype == torch.float32
    features = processor(SAMPLES[: 30 * 16_000], sampling_rate=16_000, return_tensors="pt").input_features
    tokens = torch.randint(exported.dims.n_vocab, (1, 50), generator=torch.Generator().manual_seed(1))
    mel = whisper.log_mel_spectrogram(SAMPLES[: 30 * 16_000], n_mels=exported.dims.n_mels)[None]
    with torch.inference_mode():
        theirs = network(input_features=features, decoder_input_ids=tokens).logits
        ours = exported.network(mel, tokens)
        words = {"language": "zh"} if exported.dims.is_multilingual else {}
        result = network.generate(features, max_new_tokens=N_TOKENS, **words)
    assert float((ours - theirs).abs().max()) < 1e-4
    wanted = exported.decoded(without_timestamps=True)
    assert result[0].tolist()[-len(wanted.tokens) :] == wanted.tokens
    assert processor.batch_decode(result, skip_special_tokens=True)[0].strip() == wanted.text


def test_transformers_finds_exactly_its_weights(exported):
    _, found = exported.in_transformers
    assert not found["missing_keys"]
    assert not found["unexpected_keys"]
    assert not found["mismatched_keys"]


def test_the_tokenizer_has_timestamps_and_prompts(exported):
    from transformers import AutoProcessor, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(exported.folder / "huggingface")
    theirs = whisper.tokenizer.get_tokenizer(
        exported.dims.is_multilingual, num_languages=exported.dims.n_languages, language="zh", task="transcribe"
    )
    assert len(tokenizer) == exported.dims.n_vocab
    label = tokenizer(" 你好 ok").input_ids
    assert label == [theirs.sot, theirs.no_timestamps, *theirs.encode(" 你好 ok"), theirs.eot]
    ids = [theirs.sot, theirs.timestamp_begin, *theirs.encode(" 你好 ok"), theirs.timestamp_begin + 50, theirs.eot]
    assert tokenizer.decode(ids, skip_special_tokens=True) == " 你好 ok"
    assert tokenizer.decode(ids, output_offsets=True)["offsets"] == [{"text": " 你好 ok", "timestamp": (0.0, 1.0)}]
    assert type(AutoProcessor.from_pretrained(exported.folder / "huggingface")).__name__ == "WhisperProcessor"


def test_faster_whisper_writes_the_same_text(exported):
    from faster_whisper import WhisperModel

    model = WhisperModel(str(exported.folder / "ctranslate2"), device="cpu", compute_type="float32")
    assert model.model.is_multilingual == exported.dims.is_multilingual
    assert model.feature_extractor.mel_filters.shape[0] == exported.dims.n_mels
    plain = dict.fromkeys(("no_speech_threshold", "compression_ratio_threshold", "log_prob_threshold"))
    options = {"condition_on_previous_text": False, **plain}
    segments, _ = model.transcribe(SAMPLES, language=exported.language, beam_size=1, temperature=0.0, **options)
    assert within([(each.start, each.end, each.text) for each in segments]) == exported.transcribed


def test_an_export_is_read_as_the_exported_checkpoint(exported):
    read = read_whisper(exported.folder / "huggingface")
    assert read.dims == exported.dims
    before = read_whisper(exported.model).state
    assert all(torch.equal(read.state[name], tensor) for name, tensor in before.items())
    assert read.generation.suppressed_first == (220, exported.eot)


def test_half_precision_halves_the_size(tmp_path):
    model = write_openai(tmp_path / "model.pt")
    sizes = {}
    for compute_type in ("fp32", "fp16", "int8"):
        folder = tmp_path / compute_type
        folder.mkdir()
        ctranslate2.write(model, replace(WANTED, compute_type=compute_type), folder)
        sizes[compute_type] = (folder / "model.bin").stat().st_size
    assert sizes["int8"] < sizes["fp16"] < 0.55 * sizes["fp32"]


def test_a_checkpoints_own_rules_are_exported(tmp_path):
    face = write_hugging_face(tmp_path / "huggingface", suppress_tokens=[1, 2], begin_suppress_tokens=[220], lang="zh")
    (tmp_path / "out").mkdir()
    huggingface.write(face, WANTED, tmp_path / "out")
    rules = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert rules["suppress_tokens"][:3] == [1, 2, 50258]  # and the symbols, which are never written
    assert (rules["begin_suppress_tokens"], rules["language"]) == ([220], "zh")


def test_the_language_of_a_checkpoint_is_exported(tmp_path):
    face = write_hugging_face(tmp_path / "huggingface", language="<|en|>")
    (tmp_path / "out").mkdir()
    huggingface.write(face, ExportRequest("x"), tmp_path / "out")
    assert json.loads((tmp_path / "out" / "generation_config.json").read_text())["language"] == "en"


def test_a_mean_of_languages_is_not_exported(tmp_path):
    (tmp_path / "out").mkdir()
    huggingface.write(write_openai(tmp_path / "model.pt"), ExportRequest("x", ("zh", "en")), tmp_path / "out")
    assert "language" not in json.loads((tmp_path / "out" / "generation_config.json").read_text())


def test_weights_in_half_precision_are_exported_in_full_precision(tmp_path):
    state = {name: tensor.half() for name, tensor in made_state().items()}
    (tmp_path / "out").mkdir()
    huggingface.write(write_openai(tmp_path / "model.pt", state=state), WANTED, tmp_path / "out")
    read = read_whisper(tmp_path / "out").state
    assert all(torch.equal(read[name], tensor.float()) for name, tensor in state.items())


@pytest.mark.parametrize("module", [huggingface, ctranslate2])
def test_a_folder_that_cannot_be_loaded_is_named(module, tmp_path):
    from k2d.models.parity_check import Probe

    probe = Probe(torch.zeros(1, 480_000), torch.tensor([[50258, 1]]), 1, 50257)
    with pytest.raises(K2DError, match=r"k2d_per-s1: (transformers|faster-whisper) cannot load it"):
        module.loaded_back(tmp_path, WANTED, probe, torch.zeros(1, 2, 51865))


def test_without_the_extra_one_message_names_the_remedy(tmp_path, monkeypatch):
    import importlib.util

    from k2d.core.errors import UsageError

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ctranslate2" else find(name))
    with pytest.raises(UsageError, match=r"ctranslate2, not installed here; pip install '\.\[export\]'"):
        ctranslate2.write(tmp_path, WANTED, tmp_path)


def test_a_trained_whisper_writes_the_same_text_in_all_libraries(tmp_path):
    """Several windows of a recording, in openai-whisper, transformers' pipeline and faster-whisper."""
    from faster_whisper import WhisperModel
    from transformers import pipeline

    for name, module in (("openai", openai), ("huggingface", huggingface), ("ctranslate2", ctranslate2)):
        (tmp_path / name).mkdir()
        module.write(tiny_checkpoint(), WANTED, tmp_path / name)
    talk = sound(talks()[0])
    model = whisper.load_model(str(tmp_path / "openai" / "k2d_per-s1.pt"), device="cpu")
    options = {"language": "zh", "condition_on_previous_text": False}
    result = model.transcribe(talk, fp16=False, **options)
    assert all(each.text in result["text"] for each in talks()[0].sentences)

    recognise = pipeline("automatic-speech-recognition", model=str(tmp_path / "huggingface"), return_timestamps=True)
    words = {"generate_kwargs": {"language": "zh"}}
    assert recognise({"raw": talk, "sampling_rate": 16_000}, **words)["text"] == result["text"]

    segments, _ = WhisperModel(str(tmp_path / "ctranslate2"), device="cpu").transcribe(talk, **options)
    times = [(round(each.start, 2), round(each.end, 2), each.text) for each in segments]
    assert times == [(round(each["start"], 2), round(each["end"], 2), each["text"]) for each in result["segments"]]
