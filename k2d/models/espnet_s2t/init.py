"""Initialise a new ESPnet S2T network: changes to its random weights that the decoder needs to learn at all or
early.
"""

from __future__ import annotations

from typing import Any

import torch

N_AWAKE = 4
"""The layers of a deep decoder that are active from the first step. The others start as identity."""
UNLIKELY = 10.0
"""The amount by which the logit of the blank is lowered in an output layer that starts as the CTC head."""


def prepare(network: Any) -> None:
    """Let the decoder use its positions, and let a deep decoder start as a shallow one."""
    with torch.no_grad():
        # ESPnet multiplies embeddings by √D, and they start with a variance of 1. The positions, sines below 1, would
        # be negligible beside them.
        weight_VD = network.decoder.embed[0].weight
        weight_VD.mul_(weight_VD.shape[1] ** -0.5)
        # A layer whose last projections are zero passes its input through, so the decoder starts as a shallow one.
        for layer in _asleep(list(network.decoder.decoders)):
            for projection in (layer.self_attn.linear_out, layer.src_attn.linear_out, layer.feed_forward.w_2):
                projection.weight.zero_()
                projection.bias.zero_()


def lean_on_ctc(network: Any) -> None:
    """Let a new decoder start with what the encoder has learnt. It only has to learn where to attend.

    Its last layer passes on the frames that it attends to, and the output layer is the CTC head, which knows the token
    of each frame. Blanks, which the head predicts between tokens, are made unlikely.
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
    """The layers between the first ones and the last. A student has the others, which must work from the beginning."""
    return layers[N_AWAKE - 1 : -1] if len(layers) > N_AWAKE else []
