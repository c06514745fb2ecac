"""How a new network begins."""

import copy

import numpy as np
import pytest
from models_made import made_config, made_vocabulary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    from k2d.models.espnet_s2t_loading import new_s2t

    tokens, pieces = made_vocabulary()
    path = tmp_path_factory.mktemp("new") / "bpe.model"
    path.write_bytes(pieces)
    return lambda n_layers: new_s2t(made_config(num_blocks=n_layers), tokens, path, seed=3)


def test_positions_are_as_loud_as_tokens(new):
    decoder = new(2).network.decoder
    width = decoder.embed[0].weight.shape[1]
    token = decoder.embed[0].weight * width**0.5
    assert token.square().mean().sqrt().item() == pytest.approx(1.0, abs=0.05)


def test_a_deep_decoder_begins_as_a_shallow_one_and_every_layer_can_learn(new):
    import torch

    deep = new(7)
    shallow = deep.with_decoder_layers([0, 1, 2, 6])
    memory = deep.encode(torch.randn(1, 16000))
    tokens = torch.tensor([[5, 6, 7, 8]])
    assert torch.allclose(deep.logits(memory, tokens), shallow.logits(memory, tokens), atol=1e-6)
    network = copy.deepcopy(deep)
    network.logits(memory, tokens).square().sum().backward()
    for layer in network.network.decoder.decoders:
        assert float(layer.feed_forward.w_2.weight.grad.abs().max()) > 0


def test_the_statistics_are_those_of_all_frames_together(tmp_path):
    import torch

    from k2d.models.espnet_s2t import feature_statistics

    (tmp_path / "s.npz").write_bytes(
        feature_statistics({"frontend": "default"}, [torch.randn(n) for n in (8000, 4000)])
    )
    with np.load(tmp_path / "s.npz") as found:
        count, total, squares = found["count"], found["sum"], found["sum_square"]
    assert int(count) == (8000 // 128 + 1) + (4000 // 128 + 1)
    assert total.shape == squares.shape == (80,)
    assert (squares / count >= (total / count) ** 2).all()
