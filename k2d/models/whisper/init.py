"""Changes to the random weights of a new Whisper. Without them, a small one learns late or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

OFFSETS = (-12, -5, 5, 12)
"""In frames of 20 ms: the distance at which each head of a new encoder attends."""
_SMALL = 0.05  # scale of the decoder's vectors
_SMALL_TIMES = 0.1  # scale of the vectors of timestamps, which are sines


def prepare(network: Any) -> None:
    """Let the encoder attend to near frames, and give each timestamp the position vector of its frame."""
    encoder, decoder = network.encoder, network.decoder
    places_TD, vectors_CD = encoder.positional_embedding, decoder.token_embedding.vectors_CD
    with torch.no_grad():
        vectors_CD.normal_(0, _SMALL)
        vectors_CD[-len(places_TD) - 1 : -1] = _SMALL_TIMES * places_TD  # a frame is a step of the time grid
        decoder.positional_embedding.normal_(0, _SMALL)
        for block in encoder.blocks:
            look_around(block.attn, OFFSETS)


def look_around(attention: Any, offsets: Sequence[int]) -> None:
    """Let each head attend at an offset at first, by the positions alone.

    Positions are sines and cosines of the same frequencies, so their product falls with the distance. A rotation of the
    query's position by an offset moves the maximum to that offset.
    """
    width, n_heads = len(attention.query.weight), attention.n_head
    n_half, n_pairs = width // 2, width // n_heads // 2
    frequencies = 10_000 ** (-torch.arange(n_half) / (n_half - 1))
    query, key = torch.zeros(width, width), torch.zeros(width, width)
    for head in range(n_heads):
        for n in range(n_pairs):  # the highest frequencies, which distinguish near positions
            turn = frequencies[n] * offsets[head % len(offsets)]
            of_sine = head * 2 * n_pairs + 2 * n
            key[of_sine, n] = key[of_sine + 1, n_half + n] = 1.0
            query[of_sine, n], query[of_sine, n_half + n] = turn.cos(), turn.sin()
            query[of_sine + 1, n], query[of_sine + 1, n_half + n] = -turn.sin(), turn.cos()
    attention.query.weight += query
    attention.key.weight += key
    attention.query.bias.zero_()


def lean_on_ctc(network: Any) -> None:
    """Let a new decoder use what the encoder has learnt: it only has to learn which frames to attend to.

    Its last layer passes on the frames that it attends to, and each word has the vector of its class in the CTC head.
    """
    embedding, head = network.decoder.token_embedding, network.ctc
    attention = network.decoder.blocks[-1].cross_attn
    with torch.no_grad():
        for projection in (attention.value, attention.out):
            projection.weight.copy_(torch.eye(len(projection.weight)))
            projection.bias.zero_()
        embedding.vectors_CD[1 : len(head.weight)] = head.weight[1:]
