"""Some rows of a layer are trained. In the restored layer, all other rows are unchanged."""

import copy
import math

import pytest
import torch
from torch import nn

from k2d.core.errors import K2DError
from k2d.models.kept_rows import KeptEmbedding, KeptOutput, learnt_rows

KEPT = torch.tensor([0, 2, 5])


def test_a_softmax_over_the_kept_rows_by_hand():
    """Six tokens with weights 1 to 6. Among 0, 2 and 5 (weights 1, 3, 6), the second has three tenths."""
    layer = nn.Linear(1, 6, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.arange(1.0, 7.0).log().unsqueeze(1))
    kept = KeptOutput(layer, KEPT)
    logits = kept(torch.ones(1, 1))
    assert logits.exp().flatten().tolist() == pytest.approx([1.0, 3.0, 6.0])
    (place,) = kept.classes(torch.tensor([2])).tolist()
    loss = nn.functional.cross_entropy(logits, torch.tensor([place]))
    assert loss.item() == pytest.approx(-math.log(3 / 10))


def test_classes_are_places_among_the_kept_rows():
    kept = KeptEmbedding(nn.Embedding(6, 4), KEPT)
    assert kept.classes(torch.tensor([5, 0, 2, -100])).tolist() == [2, 0, 1, -100]
    assert len(learnt_rows(kept)) == 3


def test_an_embedding_gives_kept_rows_with_a_gradient_and_others_without():
    layer = nn.Embedding(6, 4)
    kept = KeptEmbedding(layer, KEPT)
    tokens = torch.tensor([[2, 1], [5, 2]])
    vectors = kept(tokens)
    assert vectors.equal(layer(tokens))
    vectors.sum().backward()
    assert kept.rows_KD.grad[:, 0].tolist() == [0.0, 2.0, 1.0]
    assert layer.weight.grad is None


@pytest.mark.slow
@pytest.mark.parametrize("bias", [True, False])
def test_only_kept_rows_change_whatever_the_decay(bias):
    layer = nn.Linear(4, 6, bias=bias)
    before = copy.deepcopy(layer)
    kept = KeptOutput(layer, KEPT)
    assert len(list(kept.parameters())) == 1 + bias
    optimizer = torch.optim.AdamW(kept.parameters(), lr=0.1, weight_decay=0.5)
    for _ in range(3):
        kept(torch.randn(2, 4)).logsumexp(-1).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    whole = kept.weight
    restored = kept.restored()
    assert restored is layer
    assert restored.weight.equal(whole)
    others = [1, 3, 4]
    assert restored.weight[others].equal(before.weight[others])
    assert restored.weight[KEPT].equal(kept.rows_KD)
    assert not restored.weight[KEPT].isclose(before.weight[KEPT]).all()
    if bias:
        assert restored.bias[others].equal(before.bias[others])
        assert restored.bias[KEPT].equal(kept.bias_K)
    else:
        assert kept.bias is None


def test_the_kept_rows_of_a_frozen_layer_are_frozen():
    layer = nn.Embedding(6, 4).requires_grad_(False)
    assert not KeptEmbedding(layer, KEPT).rows_KD.requires_grad


def test_the_whole_layer_has_the_dtype_of_its_rows():
    network = nn.Sequential(KeptOutput(nn.Linear(4, 6), KEPT)).double()
    assert network[0].weight.dtype == torch.float64
    assert network[0](torch.ones(1, 4, dtype=torch.float64)).dtype == torch.float64


def test_a_checkpoint_contains_the_kept_rows_and_their_ids():
    network = nn.Sequential(KeptEmbedding(nn.Embedding(6, 4), KEPT))
    state = network.state_dict()
    assert {name: tuple(value.shape) for name, value in state.items()} == {"0.rows_KD": (3, 4), "0.ids_K": (3,)}
    nn.Sequential(KeptEmbedding(nn.Embedding(6, 4), KEPT)).load_state_dict(state)
    message = r"0: the checkpoint is of a training on 3 other tokens than the 2 that are in use now .* to train anew"
    with pytest.raises(K2DError, match=message):
        nn.Sequential(KeptEmbedding(nn.Embedding(6, 4), KEPT[:2])).load_state_dict(state)
