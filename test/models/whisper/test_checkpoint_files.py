"""Checkpoints in their real formats, compared with the libraries of these formats, and messages about broken ones."""

import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from whisper_made import ENGLISH, TINY, V3, made_state, write_hugging_face, write_openai

from k2d.core.errors import K2DError
from k2d.models.whisper.checkpoint_files import read_dims, read_whisper
from k2d.models.whisper.dims import PUBLISHED, n_parameters, shapes
from k2d.models.whisper.huggingface_names import hugging_face_name, openai_name, to_hugging_face


@pytest.mark.parametrize("dims", [TINY, ENGLISH, V3], ids=["multilingual", "english", "v3"])
def test_an_openai_checkpoint_is_read_as_whisper_reads_it(dims, tmp_path):
    import whisper

    path = write_openai(tmp_path / "tiny.pt", dims)
    theirs = whisper.load_model(str(path), device="cpu")
    ours = read_whisper(path)
    assert ours.dims.as_dict() == vars(theirs.dims)
    assert ours.state.keys() == theirs.state_dict().keys()
    assert all(torch.equal(ours.state[name], tensor) for name, tensor in theirs.state_dict().items())
    assert sum(n_parameters(dims).values()) == sum(p.numel() for p in theirs.parameters())


@pytest.mark.parametrize("n_files", [1, 3])
@pytest.mark.slow
def test_a_hugging_face_folder_is_read_as_transformers_reads_it(n_files, tmp_path):
    import whisper
    from transformers import WhisperForConditionalGeneration

    folder = write_hugging_face(tmp_path / "huggingface", n_files=n_files)
    theirs, info = WhisperForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    ours = read_whisper(folder)
    network = whisper.model.Whisper(whisper.ModelDimensions(**ours.dims.as_dict()))
    network.load_state_dict(ours.state)
    mel, ids = torch.randn(1, 80, 3000), torch.tensor([[50258, 50260, 50359, 50364, 1770]])
    with torch.no_grad():
        expected = theirs(input_features=mel, decoder_input_ids=ids).logits
        assert torch.allclose(network(mel, ids), expected, atol=1e-4)


def test_all_names_are_converted_there_and_back():
    for dims in (TINY, PUBLISHED["large-v2"]):
        state = dict.fromkeys(shapes(dims), 0)
        face = to_hugging_face(state)
        assert len(face) == len(state)
        assert [openai_name(name) for name in face] == list(state)
    assert hugging_face_name("decoder.blocks.0.attn.rotary.weight") is None
    assert openai_name("proj_out.weight") is None
    with pytest.raises(K2DError, match=r"encoder\.adapter\.weight: no weight of a Whisper network"):
        to_hugging_face({"encoder.adapter.weight": 0})


def test_published_sizes_have_the_parameters_that_their_authors_state():
    millions = {name: round(sum(n_parameters(dims).values()) / 1e6) for name, dims in PUBLISHED.items()}
    assert millions["base"] == 72  # 74 with the encoder's positions, as OpenAI counts
    assert (millions["large-v2"], millions["turbo"]) == (1541, 807)
    assert math.isclose(n_parameters(PUBLISHED["large-v2"])["encoder"] / 1e6, 635, abs_tol=1)


def test_generation_config_is_respected(tmp_path):
    settings = {
        "suppress_tokens": [1, 2],
        "begin_suppress_tokens": [220, 50257],
        "max_initial_timestamp_index": 50,
        "language": "<|zh|>",
    }
    generation = read_whisper(write_hugging_face(tmp_path, **settings)).generation
    assert generation.suppressed == (1, 2)
    assert generation.suppressed_first == (220, 50257)
    assert (generation.first_time_at_most, generation.language) == (50, "zh")


def test_sizes_are_read_without_weights(tmp_path):
    folder = write_hugging_face(tmp_path)
    (folder / "model.safetensors").unlink()
    assert read_dims(folder) == TINY


# --- what is refused ---


def refused(path):
    with pytest.raises(K2DError) as caught:
        read_whisper(path)
    return str(caught.value)


def test_another_vocabulary_and_another_number_of_mels_are_reported_together(tmp_path):
    odd = replace(TINY, n_vocab=51_900, n_mels=40)
    message = refused(write_openai(tmp_path / "odd.pt", odd))
    assert "a vocabulary of 51900, expected 51864 (English-only)" in message
    assert "40 mels, expected 80 or 128" in message
    assert "a vocabulary of 51900" in refused(write_hugging_face(tmp_path / "huggingface", odd))


def test_rules_with_unknown_tokens_are_reported_together(tmp_path):
    """For these, a GPU would only report an index out of bounds."""
    odd = {"suppress_tokens": [-1, 5], "begin_suppress_tokens": [51_865], "max_initial_timestamp_index": "50"}
    message = refused(write_hugging_face(tmp_path, **odd))
    assert "generation_config.json: suppress_tokens: expected a list of ids from 0 to 51864, found [-1, 5]" in message
    assert "begin_suppress_tokens: expected a list of ids from 0 to 51864, found [51865]" in message
    assert "max_initial_timestamp_index: expected a whole number of steps, found '50'" in message
    assert "remove the file to decode as openai-whisper" in message


def test_missing_and_unexpected_keys_are_named(tmp_path):
    state = made_state()
    state["decoder.ln.gamma"] = state.pop("decoder.ln.weight")
    message = refused(write_openai(tmp_path / "odd.pt", state=state))
    assert "1 missing (decoder.ln.weight); 1 unexpected (decoder.ln.gamma)" in message
    folder = write_hugging_face(tmp_path / "huggingface")
    named = load_file(folder / "model.safetensors")
    del named["model.decoder.layer_norm.weight"]
    save_file(named, folder / "model.safetensors")
    assert "1 missing (decoder.ln.weight)" in refused(folder)


@pytest.mark.parametrize("kind", ["openai", "huggingface", "sharded"])
def test_a_truncated_file_is_reported(kind, tmp_path):
    if kind == "openai":
        path = file = write_openai(tmp_path / "tiny.pt")
    else:
        path = write_hugging_face(tmp_path, n_files=1 if kind == "huggingface" else 2)
        file = sorted(path.glob("*.safetensors"))[-1]
    file.write_bytes(file.read_bytes()[:-1000])
    message = refused(path)
    assert file.name in message
    assert "truncated" in message


def test_weights_in_other_formats_than_safetensors_are_never_opened(tmp_path):
    folder = write_hugging_face(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    message = refused(folder)
    assert "found pytorch_model.bin; only safetensors are read" in message
    assert "save_pretrained" in message


def test_an_index_cannot_name_files_elsewhere(tmp_path):
    folder = write_hugging_face(tmp_path / "huggingface", n_files=2)
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.encoder.conv1.weight"] = "../secret.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "the name of a file beside it" in refused(folder)
    index["weight_map"]["model.encoder.conv1.weight"] = "model-00009-of-00002.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00009-of-00002.safetensors of model.safetensors.index.json not found" in refused(folder)


def test_an_output_layer_of_its_own_is_refused(tmp_path):
    folder = write_hugging_face(tmp_path)
    named = load_file(folder / "model.safetensors")
    named["proj_out.weight"] = named["model.decoder.embed_tokens.weight"].clone()
    save_file(named, folder / "model.safetensors")
    assert read_whisper(folder).dims == TINY
    named["proj_out.weight"] += 1
    save_file(named, folder / "model.safetensors")
    assert "proj_out.weight differs from the embedding" in refused(folder)


def test_other_files_and_folders_are_refused(tmp_path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other.pt")
    assert "expected `dims` and `model_state_dict`" in refused(tmp_path / "other.pt")
    (tmp_path / "empty").mkdir()
    assert "no Whisper model: expected model.pt" in refused(tmp_path / "empty")
    assert "there is no such Whisper model" in refused(tmp_path / "nowhere")
    folder = write_hugging_face(tmp_path / "bert")
    (folder / "config.json").write_text('{"model_type": "bert"}')
    assert "model_type is 'bert'; expected 'whisper'" in refused(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_broken_weights_are_refused(broken, dtype, tmp_path):
    state = {name: tensor.to(dtype) for name, tensor in made_state().items()}
    state["encoder.conv1.bias"][-1] = broken
    assert "1 with NaN or infinity (encoder.conv1.bias)" in refused(write_openai(tmp_path / "nan.pt", state=state))


def test_a_model_config_holds_the_sizes_under_their_names(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in TINY.as_dict().items()))
    assert read_dims(path) == TINY


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_vocab": 1800, "n_audio_ctx": 500}, "tiny.yaml: a vocabulary of 1800, expected .*; 500 positions of audio"),
        ({"n_layers": 2}, "tiny.yaml: its dims are not Whisper's: expected whole numbers n_mels, n_audio_ctx"),
    ],
)
def test_a_model_config_of_another_family_is_refused(changes, message, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text("".join(f"{name}: {value}\n" for name, value in {**TINY.as_dict(), **changes}.items()))
    with pytest.raises(K2DError, match=message):
        read_dims(path)
