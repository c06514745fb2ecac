"""How a new ESPnet S2T network begins: changes to its random weights without which the decoder learns late or never."""

from __future__ import annotations

from typing import Any

import torch

N_AWAKE = 4
"""Layers of a deep decoder that work from the first step; the others begin as identity and grow into their work."""
UNLIKELY = 10.0
"""By how much the logit of the blank is lowered in an output layer that begins as the CTC head."""


def prepare(network: Any) -> None:
    """Let the decoder see its positions, and let a deep one begin as a shallow one."""
    with torch.no_grad():
        # ESPnet multiplies embeddings by √D, and they begin with a variance of 1: the positions, which are sines
        # below 1, would be lost beside them.
        weight_VD = network.decoder.embed[0].weight
        weight_VD.mul_(weight_VD.shape[1] ** -0.5)
        # A layer whose last projections are zero passes its input through, so the decoder begins as a shallow one.
        for layer in _asleep(list(network.decoder.decoders)):
            for projection in (layer.self_attn.linear_out, layer.src_attn.linear_out, layer.feed_forward.w_2):
                projection.weight.zero_()
                projection.bias.zero_()


def lean_on_ctc(network: Any) -> None:
    """Let a new decoder begin with what the encoder has learnt: it only has to find out where to listen.

    Its last layer passes on the frames that it attends to, and the output layer is the CTC head, which knows the token
    of each. Blanks, which the head predicts between tokens, are made unlikely.
    """
    decoder, head = network.decoder, network.ctc.ctc_lo
    attention = decoder.decoders[-1].src_attn
    with torch.no_grad():
        for projection in (attention.linear_v, attention.linear_out):
            projection.weight.copy_(torch.eye(len(projection.weight)))
            projection.bias.zero_()
        decoder.output_layer.weight.copy_(head.weight)
        decoder.output_layer.bias.copy_(head.bias)
        decoder.output_layer.bias[network.blank_id] -= UNLIKELY


def _asleep(layers: list[Any]) -> list[Any]:
    """The layers between the first ones and the last; a student takes those, so they must work from the beginning."""
    return layers[N_AWAKE - 1 : -1] if len(layers) > N_AWAKE else []
