"""Initial weights of a new network: a deep decoder works like a shallow one, and its words come from the CTC head."""

import pytest
from models_made import made_recogniser

from k2d.models.codec import Request

pytestmark = pytest.mark.slow


@pytest.fixture
def deep(tmp_path):
    """A new network of six decoder layers at the start of training."""
    from k2d.models.espnet_s2t.init import prepare

    made = made_recogniser(tmp_path, num_blocks=6)
    prepare(made.network)
    return made


def hidden(recogniser, n_awake=None):
    import torch

    recogniser.n_awake_layers = n_awake
    tokens_BL = torch.tensor([[*recogniser.codec.prompt(Request(("zho",))), 400, 401]])
    with torch.no_grad():
        memory = recogniser.encode(0.1 * torch.randn(1, 40_000, generator=torch.Generator().manual_seed(0)))
        return recogniser.hidden(memory, tokens_BL)


def test_skipped_layers_pass_their_input_on(deep):
    import torch

    whole = hidden(deep)
    assert torch.equal(hidden(deep, n_awake=4), whole)  # layers 3 and 4 of 0 to 5 sleep
    assert not torch.equal(hidden(deep, n_awake=3), whole)
    assert torch.equal(hidden(deep, n_awake=9), whole)


def test_a_decoder_that_leans_on_ctc_writes_the_token_of_the_attended_frame(deep):
    """If only the last layer attends to one frame, the logits equal those of the CTC head, except for the blank."""
    import torch

    deep.lean_on_ctc()
    network, blank = deep.network, deep.ctc_blank_id
    attention = network.decoder.decoders[-1].src_attn
    frame_BTD = torch.randn(1, 1, 16)
    with torch.no_grad():
        heard_BLD = attention(torch.randn(1, 1, 16), frame_BTD, frame_BTD, None)
        assert torch.allclose(heard_BLD, frame_BTD, atol=1e-6)
        said_BLV, known_BLV = network.decoder.output_layer(heard_BLD), network.ctc.ctc_lo(frame_BTD)
    difference_V = (said_BLV - known_BLV)[0, 0]
    assert difference_V[blank].item() == pytest.approx(-10.0, abs=1e-4)
    difference_V[blank] = 0.0
    assert difference_V.abs().max().item() < 1e-4
