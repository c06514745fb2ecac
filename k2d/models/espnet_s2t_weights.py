"""The weights of ESPnet's TransformerDecoder, laid out for decoding token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_EPSILON = 1e-12  # of ESPnet's LayerNorm


@dataclass(frozen=True, slots=True)
class Affine:
    """A linear layer, or the affine part of a normalisation."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, module: Any) -> Affine:
        return cls(module.weight, module.bias)

    def scaled(self, factor: float) -> Affine:
        return Affine(self.weight * factor, self.bias * factor)

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, _EPSILON)


@dataclass(frozen=True, slots=True)
class HeadNorms:
    """What normalises the queries and keys of every head, where the model does so (`qk_norm`)."""

    query: Affine
    key: Affine


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer. Linear layers that read the same input are one; queries come out scaled."""

    before_self: Affine
    qkv: Affine
    self_heads: HeadNorms | None
    self_out: Affine
    before_cross: Affine
    cross_q: Affine
    cross_kv: Affine
    cross_heads: HeadNorms | None
    cross_out: Affine
    before_feed: Affine
    feed_in: Affine
    feed_out: Affine

    @classmethod
    def of(cls, layer: Any) -> Layer:
        own, cross, feed = layer.self_attn, layer.src_attn, layer.feed_forward
        return cls(
            before_self=Affine.of(layer.norm1),
            qkv=_joined(_query(own), Affine.of(own.linear_k), Affine.of(own.linear_v)),
            self_heads=_head_norms(own),
            self_out=Affine.of(own.linear_out),
            before_cross=Affine.of(layer.norm2),
            cross_q=_query(cross),
            cross_kv=_joined(Affine.of(cross.linear_k), Affine.of(cross.linear_v)),
            cross_heads=_head_norms(cross),
            cross_out=Affine.of(cross.linear_out),
            before_feed=Affine.of(layer.norm3),
            feed_in=Affine.of(feed.w_1),
            feed_out=Affine.of(feed.w_2),
        )


@dataclass(frozen=True, slots=True)
class Weights:
    """A decoder's weights as they are now; to be taken again after a training step."""

    layers: tuple[Layer, ...]
    embedding_VD: Tensor
    positions_LD: Tensor
    embedding_scale: float
    n_heads: int
    last_norm: Affine | None
    """None: the layers normalise behind themselves, not before."""
    output: Affine

    @classmethod
    def of(cls, decoder: Any) -> Weights:
        embedding, positions = decoder.embed
        return cls(
            layers=tuple(Layer.of(layer) for layer in decoder.decoders),
            embedding_VD=embedding.weight,
            positions_LD=positions.pe[0].to(embedding.weight),
            embedding_scale=positions.xscale,
            n_heads=decoder.decoders[0].self_attn.h,
            last_norm=Affine.of(decoder.after_norm) if decoder.normalize_before else None,
            output=Affine.of(decoder.output_layer),
        )


def _joined(*parts: Affine) -> Affine:
    return Affine(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


def _query(attention: Any) -> Affine:
    """Scaled once here in place of its products at every step, unless it is normalised behind."""
    query = Affine.of(attention.linear_q)
    return query if _has_head_norms(attention) else query.scaled(1 / math.sqrt(attention.d_k))


def _head_norms(attention: Any) -> HeadNorms | None:
    if not _has_head_norms(attention):
        return None
    return HeadNorms(Affine.of(attention.q_norm).scaled(1 / math.sqrt(attention.d_k)), Affine.of(attention.k_norm))


def _has_head_norms(attention: Any) -> bool:
    return not isinstance(attention.q_norm, nn.Identity)
