"""CTranslate2 folders as checkpoints: what its converter makes of a model, read back; and files that are wrong."""

import pytest
import torch
from ctranslate2_made import write_ctranslate2
from whisper_made import ENGLISH, TINY, V3, made_state, write_openai

from k2d.models.registry import family_of
from k2d.models.whisper.checkpoint_files import read_dims, read_whisper

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
    (folder / "face").mkdir()
    huggingface.write(folder / "model.pt", ExportRequest("tiny"), folder / "face")
    return folder


@pytest.fixture
def converted(source):
    def convert(quantization):
        from ctranslate2.converters import TransformersConverter

        folder = source / quantization
        TransformersConverter(str(source / "face")).convert(str(folder), quantization=quantization)
        return read_whisper(source / "model.pt"), read_whisper(folder)

    return convert


@pytest.mark.slow
@pytest.mark.parametrize("numbers", ["float32", "float16", "bfloat16"])
def test_a_converted_model_is_read_to_the_bit(numbers, converted, caplog):
    before, after = converted(numbers)
    assert after.dims == before.dims
    assert equal(after.state, {name: tensor.to(getattr(torch, numbers)) for name, tensor in before.state.items()})
    assert not caplog.records


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("numbers", ["fp32", "fp16", "bf16"])
def test_every_weight_has_its_place(kind, numbers, tmp_path):
    dims = KINDS[kind]
    folder = write_ctranslate2(tmp_path, dims, numbers=numbers, suppress_ids=[1, 2], suppress_ids_begin=[220])
    read = read_whisper(folder)
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[numbers]
    assert equal(read.state, {name: tensor.to(dtype) for name, tensor in made_state(dims).items()})
    assert (read.generation.suppressed, read.generation.suppressed_first) == ((1, 2), (220,))
    assert read_dims(folder) == read.dims == dims
    assert family_of(folder).name == "whisper"
