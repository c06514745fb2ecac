"""How a new ESPnet S2T network begins: changes to its random weights without which the decoder learns late or never."""

from __future__ import annotations

from typing import Any

import torch

N_AWAKE = 4
"""Layers of a deep decoder that work from the first step; the others begin as identity and grow into their work."""


UNLIKELY = 10.0


def prepare(network: Any) -> None:
    """Let the decoder see its positions, and let a deep one begin as a shallow one."""
    with torch.no_grad():
        _scale_embedding(network.decoder)
        for layer in _asleep(list(network.decoder.decoders)):
            for projection in (layer.self_attn.linear_out, layer.src_attn.linear_out, layer.feed_forward.w_2):
                projection.weight.zero_()
                projection.bias.zero_()


def _scale_embedding(decoder: Any) -> None:
    """ESPnet multiplies embeddings by √D and begins them at 1: positions, which are below 1, would not be seen."""
    weight_VD = decoder.embed[0].weight
    weight_VD.mul_(weight_VD.shape[1] ** -0.5)


def lean_on_ctc(network: Any) -> None:
    """Let a new decoder begin with what the encoder has learnt: it only has to find out where to listen.

    Its last layer hands on the frames that it attends to, and the output layer is the CTC head, which knows the token
    of each. Blanks, which the head says between tokens, are made unlikely.
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
    """All but the first ones and the last, which a student would take."""
    return layers[N_AWAKE - 1 : -1] if len(layers) > N_AWAKE else []
