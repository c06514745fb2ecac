"""The weights of ESPnet's TransformerDecoder, arranged for decoding."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from k2d.models.decoder_weights import Affine, HeadNorms, Layer, Weights, joined


def weights_of(decoder: Any) -> Weights:
    """The present weights. Call it again after a training step."""
    embedding, positions = decoder.embed
    embedding_VD = embedding.weight

    def embed(tokens: Tensor) -> Tensor:
        vectors: Tensor = embedding_VD[tokens] * positions.xscale
        return vectors

    return Weights(
        layers=tuple(_layer(layer) for layer in decoder.decoders),
        embed=embed,
        positions_LD=positions.pe[0].to(embedding_VD),
        n_heads=decoder.decoders[0].self_attn.h,
        activation=Tensor.relu_,
        last_norm=Affine.of(decoder.after_norm) if decoder.normalize_before else None,
        output=Affine.of(decoder.output_layer),
    )


def _layer(layer: Any) -> Layer:
    own, cross, feed = layer.self_attn, layer.src_attn, layer.feed_forward
    return Layer(
        before_self=Affine.of(layer.norm1),
        qkv=joined(_query(own), Affine.of(own.linear_k), Affine.of(own.linear_v)),
        self_heads=_head_norms(own),
        self_out=Affine.of(own.linear_out),
        before_cross=Affine.of(layer.norm2),
        cross_q=_query(cross),
        cross_kv=joined(Affine.of(cross.linear_k), Affine.of(cross.linear_v)),
        cross_heads=_head_norms(cross),
        cross_out=Affine.of(cross.linear_out),
        before_feed=Affine.of(layer.norm3),
        feed_in=Affine.of(feed.w_1),
        feed_out=Affine.of(feed.w_2),
    )


def _query(attention: Any) -> Affine:
    """The projection of queries with the factor 1/√C, unless a norm follows (which then has the factor)."""
    query = Affine.of(attention.linear_q)
    return query if _has_head_norms(attention) else query.scaled(1 / math.sqrt(attention.d_k))


def _head_norms(attention: Any) -> HeadNorms | None:
    if not _has_head_norms(attention):
        return None
    return HeadNorms(Affine.of(attention.q_norm).scaled(1 / math.sqrt(attention.d_k)), Affine.of(attention.k_norm))


def _has_head_norms(attention: Any) -> bool:
    return not isinstance(attention.q_norm, nn.Identity)
