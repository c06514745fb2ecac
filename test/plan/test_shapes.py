"""Parameters compared with the real network, and operations with a sum worked out by hand."""

import dataclasses
import doctest

import pytest

from k2d.config import Config
from k2d.config.schema import Recogniser, Tokens
from k2d.core.errors import K2DError, UsageError
from k2d.models.whisper import shape as shapes
from k2d.models.whisper.dims import PUBLISHED
from k2d.models.whisper.shape import whisper_shape
from k2d.plan.reading import shape_of
from k2d.score import columns


def shape(recogniser: Recogniser, vocab_size: int = 1800):
    return shape_of("teacher", recogniser, Config(name="x", tokens=Tokens(vocab_size=vocab_size)))


@pytest.mark.parametrize("name", ["tiny", "base.en", "small", "medium", "large-v2", "large-v3", "turbo"])
@pytest.mark.slow
def test_parameters_equal_those_of_the_network(name, monkeypatch):
    import torch
    import whisper.model

    monkeypatch.setattr(torch.Tensor, "to_sparse", lambda tensor: tensor)  # its table of heads; not on the meta device
    with torch.device("meta"):
        network = whisper.model.Whisper(whisper.model.ModelDimensions(**PUBLISHED[name].as_dict()))
    found = whisper_shape(name, PUBLISHED[name])
    counts = {
        part: sum(p.numel() for n, p in network.named_parameters() if n.startswith(part))
        for part in ("encoder", "decoder", "decoder.blocks.0", "encoder.conv")
    }
    assert found.encoder_parameters == counts["encoder"]
    assert found.decoder_parameters == counts["decoder"]
    assert found.layer_parameters == counts["decoder.blocks.0"]
    assert found.stem_parameters == counts["encoder.conv"]
    assert found.fixed_numbers == network.encoder.positional_embedding.numel()
    assert found.position_parameters == network.decoder.positional_embedding.numel()


def test_the_examples_hold():
    results = [doctest.testmod(module) for module in (shapes, columns)]
    assert sum(result.attempted for result in results) >= 6
    assert sum(result.failed for result in results) == 0


def test_the_papers_models_have_the_papers_sizes():
    teacher = whisper_shape("large-v2", PUBLISHED["large-v2"])
    student = teacher.with_decoder_layers(2)
    assert teacher.parameters + teacher.fixed_numbers == 1_543_304_960  # 1.55 B
    assert student.parameters + student.fixed_numbers == 756_220_160  # 756 M
    # embedding 51,865 × 1280, positions 448 × 1280, last norm 2 × 1280, and two layers of 16 d² + 17 d
    assert student.decoder_parameters == 66_387_200 + 573_440 + 2_560 + 2 * 26_236_160


def test_operations_of_the_small_one_worked_out_by_hand(small):
    # layers 2 × 100 × 4, attention 4 × 4² × 2
    assert small.encoder_flops() == 800 + 128
    # 3 tokens: 2 × 3 × (50 − 8), and 2 × 4 × 8 for keys and values of frames; attention 4 × 3 × 7 × 2; output 6 × 20
    assert small.decoder_flops(3) == (252 + 64) + 168 + 120
    two = small.with_decoder_layers(2)
    assert two.decoder_flops(3) == 2 * (316 + 168) + 120


def test_operations_of_large_v2_equal_the_published_ones():
    teacher = whisper_shape("large-v2", PUBLISHED["large-v2"])
    assert teacher.encoder_flops() / 1e12 == pytest.approx(2.27, abs=0.01)
    assert teacher.decoder_flops(150) / 1e12 == pytest.approx(0.59, abs=0.01)
    assert 3 * teacher.with_decoder_layers(2).decoder_flops(150) / 1e12 == pytest.approx(0.17, abs=0.005)


def test_a_checkpoint_is_planned_by_its_header(tmp_path):
    from ctranslate2_made import write_ctranslate2
    from whisper_made import TINY, write_hugging_face, write_openai

    expected = whisper_shape("x", TINY)
    weights = write_openai(tmp_path / "mine.pt")
    folder = write_hugging_face(tmp_path / "huggingface")
    (folder / "model.safetensors").unlink()
    for path in (weights, folder, write_ctranslate2(tmp_path / "ct2")):
        found = shape(Recogniser(family="whisper", checkpoint=str(path)))
        assert dataclasses.replace(found, name="x") == expected
        assert found.name == path.name


@pytest.mark.slow
def test_an_espnet_config_is_planned_without_being_trained():
    found = shape(Recogniser(model="conf/models/mini_teacher.yaml"))
    # two attentions of 4 (128² + 128), a feed-forward of 2 × 128 × 384 + 384 + 128, three norms of 256
    assert found.layer_parameters == 2 * 66_048 + 98_816 + 768
    # embedding and output layer of 1,800 words, a last norm
    assert found.rest_parameters == 2 * 1800 * 128 + 1800 + 256
    assert (found.n_decoder_layers, found.n_encoder_layers, found.n_heads, found.width) == (24, 3, 4, 128)
    assert (found.window_s, found.n_vocabulary) == (10.0, 1800)
    assert found.n_frames == 166  # 10 s in steps of 20 ms, of which the front end takes three at once
    assert not found.has_fused_attention


@pytest.mark.parametrize(
    ("recogniser", "message"),
    [
        (Recogniser(family="whisper", checkpoint="large-v4"), "teacher.checkpoint: found 'large-v4', expected a pub"),
        (Recogniser(family="whisper"), "teacher: expected teacher.model or teacher.checkpoint, found neither"),
        (Recogniser(), "teacher: expected teacher.model or teacher.checkpoint, found neither"),
        (
            Recogniser(model="conf/models/none.yaml"),
            "teacher.model: found 'conf/models/none.yaml', expected a model config or an ESPnet",
        ),
    ],
)
def test_an_unknown_model_is_reported_with_the_accepted_kinds(recogniser, message):
    with pytest.raises(UsageError) as caught:
        shape(recogniser)
    assert str(caught.value).startswith(message)


def test_a_file_that_is_not_a_checkpoint_is_reported_by_its_path(tmp_path):
    path = tmp_path / "broken.pt"
    path.write_bytes(b"no zip")
    with pytest.raises(K2DError, match=r"broken\.pt: cannot be read as weights: truncated"):
        shape(Recogniser(family="whisper", checkpoint=str(path)))
