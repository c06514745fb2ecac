"""The weights of Whisper's decoder in the form that cached decoding uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from k2d.models.decoder_weights import Affine, Layer, Weights, joined


def weights_of(decoder: Any, embed: Callable[[Tensor], Tensor]) -> Weights:
    """The present weights. Call this again after a training step."""
    embedding = decoder.token_embedding.weight
    return Weights(
        layers=tuple(_layer(block) for block in decoder.blocks),
        embed=embed,
        positions_LD=decoder.positional_embedding,
        n_heads=decoder.blocks[0].attn.n_head,
        activation=F.gelu,
        last_norm=_norm(decoder.ln, embedding),
        output=Affine(embedding, None),
    )


def _layer(block: Any) -> Layer:
    own, cross, (feed_in, _, feed_out) = block.attn, block.cross_attn, block.mlp
    like = own.query.weight
    return Layer(
        before_self=_norm(block.attn_ln, like),
        qkv=joined(_query(own), Affine.of(own.key), Affine.of(own.value)),
        self_heads=None,
        self_out=Affine.of(own.out),
        before_cross=_norm(block.cross_attn_ln, like),
        cross_q=_query(cross),
        cross_kv=joined(Affine.of(cross.key), Affine.of(cross.value)),
        cross_heads=None,
        cross_out=Affine.of(cross.out),
        before_feed=_norm(block.mlp_ln, like),
        feed_in=Affine.of(feed_in),
        feed_out=Affine.of(feed_out),
    )


def _query(attention: Any) -> Affine:
    """The projection of queries, multiplied by 1/√C once, so that scores are not scaled at every step."""
    n_features = attention.query.weight.shape[0] // attention.n_head
    return Affine.of(attention.query).scaled(n_features**-0.5)


def _norm(norm: Any, like: Tensor) -> Affine:
    """A norm in the dtype of the other weights. The network's own norms stay in float32."""
    return Affine(norm.weight.to(like.dtype), norm.bias.to(like.dtype), norm.eps)
