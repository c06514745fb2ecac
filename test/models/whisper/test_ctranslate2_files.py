"""CTranslate2 folders as checkpoints: outputs of its converter are read back, and wrong files are refused."""

import json

import pytest
import torch
from ctranslate2_made import packed, record, records, scalar, write_ctranslate2
from whisper_made import ENGLISH, TINY, V3, made_state, write_openai

from k2d.core.errors import K2DError
from k2d.models.registry import family_of, load_recogniser
from k2d.models.whisper.checkpoint import Generation
from k2d.models.whisper.checkpoint_files import read_dims, read_whisper
from k2d.models.whisper.codec import codec_of
from k2d.models.whisper.recogniser import load_whisper
from k2d.models.whisper.timestamp_rules import WhisperRules

KINDS = {"multilingual": TINY, "english": ENGLISH, "v3": V3}


def equal(read, state):
    assert read.keys() == state.keys()
    return all(read[name].dtype == tensor.dtype and torch.equal(read[name], tensor) for name, tensor in state.items())


# --- what the converter of CTranslate2 wrote ---


@pytest.fixture(scope="module", params=KINDS)
def source(request, tmp_path_factory):
    """A model, and the same one in Hugging Face's format, from which CTranslate2 converts."""
    from k2d.export import huggingface
    from k2d.export.request import ExportRequest

    folder = tmp_path_factory.mktemp(request.param)
    write_openai(folder / "model.pt", KINDS[request.param])
    (folder / "huggingface").mkdir()
    huggingface.write(folder / "model.pt", ExportRequest("tiny"), folder / "huggingface")
    return folder


@pytest.fixture
def converted(source):
    def convert(quantization):
        from ctranslate2.converters import TransformersConverter

        folder = source / quantization
        TransformersConverter(str(source / "huggingface")).convert(str(folder), quantization=quantization)
        return read_whisper(source / "model.pt"), read_whisper(folder)

    return convert


@pytest.mark.slow
@pytest.mark.parametrize("numbers", ["float32", "float16", "bfloat16"])
def test_a_converted_model_is_read_to_the_bit(numbers, converted, caplog):
    before, after = converted(numbers)
    assert after.dims == before.dims
    assert equal(after.state, {name: tensor.to(getattr(torch, numbers)) for name, tensor in before.state.items()})
    assert not caplog.records


@pytest.mark.slow
@pytest.mark.parametrize("source", ["multilingual"], indirect=True)
@pytest.mark.parametrize("numbers", ["int8", "int8_float16", "int8_bfloat16", "int16"])
def test_a_converted_model_of_small_whole_numbers_is_read_within_half_a_step(numbers, converted, caplog):
    before, after = converted(numbers)
    others = {"int8_float16": torch.float16, "int8_bfloat16": torch.bfloat16}.get(numbers, torch.float32)
    for name, tensor in before.state.items():
        read = after.state[name]
        if not name.endswith("weight") or "ln" in name:
            assert torch.equal(read, tensor.to(others)), name
            continue
        assert read.dtype == torch.float32
        assert not torch.equal(read, tensor)
        assert bool(((read - tensor).abs() <= 0.5 * step(tensor, numbers, before.state, name) * 1.0001).all()), name
    kind = numbers.partition("_")[0]
    assert f"its weights are {kind} numbers with scales, which are not exactly the trained ones" in caplog.text


def step(tensor, numbers, state, name):
    """The step between numbers: in int8 of a row, in int16 of the whole variable (queries, keys and values)."""
    if numbers != "int16":
        rows = tensor.view(len(tensor), -1).abs().amax(1)
        return rows.view(-1, *(1,) * (tensor.ndim - 1)) / 127
    block, _, part = name.removesuffix(".weight").rpartition(".")
    joined = {"attn": ("query", "key", "value"), "cross_attn": ("key", "value")}.get(block.rpartition(".")[2], ())
    parts = [state[f"{block}.{each}.weight"] for each in joined] if part in joined else [tensor]
    return max(each.abs().max() for each in parts) / 2**10


@pytest.mark.slow
@pytest.mark.parametrize("source", ["multilingual"], indirect=True)
def test_an_export_of_this_toolkit_is_a_checkpoint(source):
    from k2d.export import ctranslate2
    from k2d.export.request import ExportRequest

    folder = source / "export"
    folder.mkdir()
    ctranslate2.write(source / "model.pt", ExportRequest("tiny", compute_type="fp32"), folder)
    before, after = read_whisper(source / "model.pt"), read_whisper(folder)
    assert equal(after.state, before.state)
    codec = codec_of(after.dims, after.generation)
    assert WhisperRules.of(codec, after.generation) == WhisperRules.of(codec, before.generation)


# --- the same format, packed here ---


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbers", ["fp32", "fp16", "bf16"])
def test_each_weight_has_its_place(kind, numbers, tmp_path):
    dims = KINDS[kind]
    folder = write_ctranslate2(tmp_path, dims, numbers=numbers, suppress_ids=[1, 2], suppress_ids_begin=[220])
    read = read_whisper(folder)
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[numbers]
    assert equal(read.state, {name: tensor.to(dtype) for name, tensor in made_state(dims).items()})
    assert (read.generation.suppressed, read.generation.suppressed_first) == ((1, 2), (220,))
    assert read_dims(folder) == read.dims == dims
    assert family_of(folder).name == "whisper"


@pytest.mark.parametrize("numbers", ["int8", "int16"])
def test_whole_numbers_are_divided_by_their_scale(numbers, tmp_path):
    state = made_state()
    read = read_whisper(write_ctranslate2(tmp_path, numbers=numbers)).state
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.allclose(read[name], tensor, atol=float(tensor.abs().max()) / (200 if numbers == "int8" else 1000))
    before, again = records(TINY, state, numbers), records(TINY, read, numbers)
    assert all(again[name] == before[name] for name in before if name.endswith("weight")), "converted again, it changes"


def test_a_folder_of_an_early_converter_is_read(tmp_path):
    """Revision 2 approximated GELU, wrote tokens as lines, renamed one token, and had another form of times."""
    folder = write_ctranslate2(tmp_path, revision=2, vocabulary="vocabulary.txt")
    words = folder / "vocabulary.txt"
    words.write_text(words.read_text().replace("<|nospeech|>", "<|nocaptions|>").replace("<|0.02|>", "<|0.020000|>"))
    made = {**records(TINY, made_state()), "decoder/activation": scalar(1)}
    (folder / "model.bin").write_bytes(packed(made, revision=2))
    (folder / "config.json").unlink()
    read = read_whisper(folder)
    assert equal(read.state, made_state())
    assert read.generation == Generation()


def test_variables_that_are_equal_are_stored_once(tmp_path):
    """For example, in the output of the converter for a network whose norms were not trained."""
    state = made_state()
    twin, own = "encoder.blocks.1.mlp_ln.weight", "encoder.blocks.0.mlp_ln.weight"
    state[twin] = state[own]
    made, names = records(TINY, state), [f"encoder/layer_{n}/ffn/layer_norm/gamma" for n in (1, 0)]
    del made[names[0]]
    folder = write_ctranslate2(tmp_path, state=state)
    pairs = [("decoder/projection/weight", "decoder/embeddings/weight"), tuple(names)]
    (folder / "model.bin").write_bytes(packed(made, pairs))
    read = read_whisper(folder).state
    assert equal(read, state)
    read[twin][0] = 0.0
    assert not torch.equal(read[twin], read[own])


def test_an_output_layer_that_is_stored_again_is_the_embedding(tmp_path):
    folder = write_ctranslate2(tmp_path, numbers="int8")
    made = records(TINY, made_state(), "int8")
    for end in ("", "_scale"):
        made[f"decoder/projection/weight{end}"] = made[f"decoder/embeddings/weight{end}"]
    (folder / "model.bin").write_bytes(packed(made, []))
    assert read_whisper(folder).dims == TINY
    made["decoder/projection/weight_scale"] = record(torch.ones(TINY.n_vocab))
    (folder / "model.bin").write_bytes(packed(made, []))
    assert "decoder/projection/weight differs from the embedding" in refused(folder)


def test_sizes_are_read_without_weights(tmp_path):
    """After its header, each variable is skipped, and its numbers are not read."""
    folder = write_ctranslate2(tmp_path)
    state = {name: torch.full_like(tensor, torch.nan) for name, tensor in made_state().items()}
    (folder / "model.bin").write_bytes(packed(records(TINY, state)))
    assert read_dims(folder) == TINY
    assert "with NaN or infinity" in refused(folder)


def test_a_student_of_such_a_teacher_is_saved_in_fp32(tmp_path):
    load_whisper(write_ctranslate2(tmp_path / "ct2", numbers="fp16")).save(tmp_path / "ours")
    state = {name: tensor.half().float() for name, tensor in made_state().items()}
    assert equal(read_whisper(tmp_path / "ours").state, state)


# --- what is refused ---


def refused(path):
    with pytest.raises(K2DError) as caught:
        read_whisper(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    return message


def changed(folder, **changes):
    """The folder with some variables replaced, or removed (None)."""
    made = records(TINY, made_state())
    for name, value in changes.items():
        key = name.replace("__", "/")
        if value is None:
            del made[key]
        else:
            made[key] = value
    (folder / "model.bin").write_bytes(packed(made))
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_ctranslate2(tmp_path / "model")


def test_a_checkpoint_is_given_by_its_folder(folder):
    assert "name the folder of CTranslate2 as a whole" in refused(folder / "model.bin")
    with pytest.raises(K2DError, match="name the folder of CTranslate2 as a whole"):
        load_recogniser(folder / "model.bin")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoder__pre_norm": scalar(0)}, "decoder/pre_norm is 0: OpenAI's networks have no such variant"),
        ({"decoder__alibi": scalar(1)}, "decoder/alibi is 1: OpenAI's networks have no such variant"),
        ({"decoder__new_switch": scalar(1)}, "decoder/new_switch is 1: OpenAI's networks have no such variant"),
        ({"encoder__num_heads": scalar(3)}, "3 heads in the encoder of width 16, expected a divisor"),
        ({"encoder__num_heads": scalar(0)}, "0 heads in the encoder"),
        ({"encoder__num_heads": scalar(torch.nan, torch.float16)}, "encoder/num_heads: expected a whole number"),
        (
            {"decoder__new_switch": scalar(torch.nan, torch.float16)},
            "decoder/new_switch is nan: OpenAI's networks have",
        ),
        ({"encoder__num_heads": None}, "not a Whisper network: encoder/num_heads missing, or"),
        ({"encoder__conv1__weight": record(torch.zeros(16, 80))}, "encoder/conv1/weight missing, or with another"),
        ({"encoder__conv1__weight": record(torch.zeros(16, 40, 3))}, "40 mels, expected 80 or 128"),
        ({"decoder__embeddings__weight": record(torch.zeros(51_900, 16))}, "a vocabulary of 51900, expected 51864"),
        ({"encoder__conv2__bias": None}, "1 missing (encoder/conv2/bias)"),
        ({"encoder__conv2__bias": record(torch.zeros(17))}, "encoder/conv2/bias (17,) instead of (16,)"),
        ({"encoder__adapter__weight": record(torch.zeros(2, 2))}, "1 unexpected (encoder/adapter/weight)"),
        ({"encoder__layer_7__ffn__linear_0__bias": record(torch.zeros(64))}, "missing (encoder/layer_2/self_attention"),
        ({"encoder__layer_99999__x": record(torch.zeros(2))}, "1 unexpected (encoder/layer_99999/x)"),
        ({"encoder__conv2__bias": record(torch.full((16,), torch.nan))}, "1 with NaN or infinity (encoder.conv2.bias)"),
        (
            {"encoder__conv2__bias": record(torch.zeros(16, dtype=torch.int32))},
            "encoder/conv2/bias holds int32 numbers",
        ),
        (
            {"encoder__conv2__weight": record(torch.ones(16, 16, 3, dtype=torch.int8))},
            "encoder/conv2/weight holds int8 numbers without a matching scale",
        ),
        (
            {
                "encoder__conv2__weight": record(torch.ones(16, 16, 3, dtype=torch.int8)),
                "encoder__conv2__weight_scale": record(torch.ones(5)),
            },
            "encoder/conv2/weight holds int8 numbers without a matching scale",
        ),
        (
            {
                "encoder__conv2__weight": record(torch.ones(16, 16, 3, dtype=torch.int8)),
                "encoder__conv2__weight_scale": record(torch.zeros(16)),
            },
            "1 with NaN or infinity (encoder.conv2.weight)",
        ),
        (
            {"encoder__layer_0__self_attention__linear_0__bias": record(torch.ones(48))},
            "encoder/layer_0/self_attention/linear_0/bias: found a bias of keys",
        ),
    ],
)
def test_another_kind_of_network_is_refused(changes, message, folder):
    assert message in refused(changed(folder, **changes))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"vocabulary.json": None}, "expected vocabulary.json or vocabulary.txt in it, found none"),
        ({"vocabulary.json": "[]"}, "found 0 tokens, expected 51,865 as in the network; use the files of one model"),
        ({"vocabulary.json": "{"}, "vocabulary.json: cannot be read as a list of tokens"),
        ({"vocabulary.json": "[" * 100_000}, "vocabulary.json: cannot be read as a list of tokens"),
        ({"vocabulary.json": '{"a": 1}'}, "vocabulary.json: expected a list of tokens"),
        ({"vocabulary.json": "[1, 2]"}, "vocabulary.json: expected a list of tokens"),
        ({"vocabulary.json": " " * (2**24 + 1)}, "16,777,217 bytes, expected about a million"),
        ({"config.json": '{"suppress_ids": [-1]}'}, "suppress_ids: expected a list of ids from 0 to 51864, found [-1]"),
        ({"config.json": '{"suppress_ids_begin": 220}'}, "suppress_ids_begin: expected a list of ids"),
        ({"config.json": '{"lang_ids": ["zh"]}'}, "lang_ids: expected a list of ids"),
        ({"config.json": "["}, "config.json: not a JSON file"),
        ({"config.json": "[" * 100_000}, "config.json: not a JSON file"),
    ],
)
def test_wrong_files_beside_the_network_are_refused(files, message, folder):
    for name, content in files.items():
        (folder / name).unlink() if content is None else (folder / name).write_text(content)
    assert message in refused(folder)


def test_other_tokens_are_refused_by_the_first_of_them(folder):
    path = folder / "vocabulary.json"
    words = json.loads(path.read_text())
    words[1770], words[1771] = "<b>", "</b>"
    path.write_text(json.dumps(words))
    assert "vocabulary.json: token 1770 is '<b>', expected" in refused(folder)


def test_a_vocabulary_of_another_whisper_is_refused(folder, tmp_path):
    other = write_ctranslate2(tmp_path / "v3", V3)
    (other / "vocabulary.json").replace(folder / "vocabulary.json")
    assert "found 51,866 tokens, expected 51,865" in refused(folder)
