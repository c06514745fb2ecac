"""The faster encoder gives the same output and gradients as ESPnet's own."""

import copy

import pytest
from models_made import made_config

pytestmark = pytest.mark.slow


def plain_copy(encoder):
    """ESPnet's own encoder."""
    plain = copy.deepcopy(encoder)
    changed = [module for module in plain.modules() if "plain_forward" in vars(module)]
    assert changed
    for module in changed:
        del module.forward, module.plain_forward
    for module in plain.modules():
        if hasattr(module, "use_sdpa"):
            module.use_sdpa = False
    return plain


@pytest.fixture(scope="module", params=["rel_selfattn", "selfattn"])
def encoder(request):
    import torch

    from k2d.models.espnet_s2t.library import build_network, default_config

    relative = request.param == "rel_selfattn"
    of_encoder = {
        **made_config()["encoder_conf"],
        "attention_layer_type": request.param,
        "pos_enc_layer_type": "rel_pos" if relative else "abs_pos",
        "rel_pos_type": "latest",
        "input_layer": "conv2d" if relative else "conv1d3",
    }
    torch.manual_seed(0)
    config = {**default_config(), **made_config(), "encoder_conf": of_encoder, "token_list": list("abcdef<>")}
    config["token_list"] = ["<blank>", "<unk>", "<na>", "a", "<sos>", "<eos>", "<sop>"]
    made = build_network(config).encoder
    assert relative or any(getattr(module, "use_sdpa", False) for module in made.modules())
    for module in made.modules():  # the gates of cgMLP begin closed
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.init.normal_(module.weight)
    return made


def test_the_result_is_the_same(encoder):
    import torch

    features = torch.randn(3, 167, 20)
    whole, cut = torch.tensor([167, 167, 167]), torch.tensor([167, 90, 41])
    plain = plain_copy(encoder)
    for lengths in (whole, cut):
        with torch.inference_mode():
            got, expected = encoder(features, lengths)[0], plain(features, lengths)[0]
        for n, length in enumerate(expected.shape[1] * lengths // 167):
            assert torch.allclose(got[n, : length - 2], expected[n, : length - 2], atol=2e-5)


def test_gradients_are_the_same(encoder):
    import torch

    torch.manual_seed(1)
    features, lengths = torch.randn(2, 100, 20), torch.tensor([100, 80])
    gradients = []
    for each in (encoder, plain_copy(encoder)):
        each.zero_grad()
        each.requires_grad_(True)
        out = each(features, lengths)[0]
        (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
        gradients.append({name: p.grad.clone() for name, p in each.named_parameters() if p.grad is not None})
    mine, theirs = gradients
    assert list(mine) == list(theirs)
    assert len(mine) > 10
    largest = max(float(gradient.abs().max()) for gradient in theirs.values())
    for name in mine:
        assert torch.allclose(mine[name], theirs[name], rtol=1e-3, atol=1e-5 * largest), name


@pytest.fixture(scope="module")
def decoder():
    import torch

    from k2d.models.espnet_s2t.library import build_network, default_config

    torch.manual_seed(0)
    symbols = ["<blank>", "<unk>", "<na>", "a", "<sos>", "<eos>", "<sop>"]
    made = build_network({**default_config(), **made_config(), "token_list": symbols}).decoder
    assert any(getattr(module, "use_sdpa", False) for module in made.modules())
    return made


def test_the_decoder_gives_the_same_output_and_gradients_with_padding(decoder):
    import torch

    torch.manual_seed(1)
    width = decoder.output_layer.in_features
    states_BTD, n_frames = torch.randn(3, 20, width), torch.tensor([20, 13, 7])
    tokens_BL, n_tokens = torch.randint(0, 7, (3, 9)), torch.tensor([9, 4, 6])
    plain = copy.deepcopy(decoder)
    for module in plain.modules():
        if hasattr(module, "use_sdpa"):
            module.use_sdpa = False
    logits, gradients = [], []
    for each in (decoder, plain):
        heard_BTD = states_BTD.clone().requires_grad_(True)
        each.zero_grad()
        logits_BLV = each(heard_BTD, n_frames, tokens_BL, n_tokens)[0]
        spoken = torch.cat([logits_BLV[row, :n] for row, n in enumerate(n_tokens)])
        (spoken * torch.linspace(-1, 1, spoken.numel()).view(spoken.shape)).sum().backward()
        logits.append(spoken.detach())
        gradients.append([heard_BTD.grad, *(p.grad for p in each.parameters() if p.grad is not None)])
    assert torch.allclose(*logits, atol=2e-5)
    assert len(gradients[0]) == len(gradients[1]) > 10
    for mine, theirs in zip(*gradients, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-5 * float(theirs.abs().max()) + 1e-7)
    assert gradients[0][0][1, 13:].abs().max() == 0  # what is padded is not looked at
