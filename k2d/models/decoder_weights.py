"""The weights of a Transformer decoder of any family, laid out for decoding token by token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Affine:
    """A linear layer, or the affine part of a normalisation."""

    weight: Tensor
    bias: Tensor | None
    epsilon: float = 0.0
    """Of a normalisation."""

    @classmethod
    def of(cls, module: Any) -> Affine:
        return cls(module.weight, module.bias, getattr(module, "eps", 0.0))

    def scaled(self, factor: float) -> Affine:
        bias = None if self.bias is None else self.bias * factor
        return Affine(self.weight * factor, bias, self.epsilon)

    def linear(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def norm(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


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


@dataclass(frozen=True, slots=True)
class Weights:
    """A decoder's weights as they are now; to be taken again after a training step."""

    layers: tuple[Layer, ...]
    embed: Callable[[Tensor], Tensor]
    """Tokens of any shape to their vectors."""
    positions_LD: Tensor
    n_heads: int
    activation: Callable[[Tensor], Tensor]
    last_norm: Affine | None
    """None: the layers normalise behind themselves, not before."""
    output: Affine


def awake(layers: list[Any], n_awake: int | None) -> list[Any]:
    """The first layers and the last one, `n_awake` in total. None: all layers."""
    if n_awake is None or n_awake >= len(layers):
        return layers
    return [*layers[: n_awake - 1], layers[-1]]


def joined(*parts: Affine) -> Affine:
    """Linear layers with one input as one; where only some have a bias, that of the others is zero."""
    weight = torch.cat([part.weight for part in parts])
    if all(part.bias is None for part in parts):
        return Affine(weight, None)
    return Affine(
        weight,
        torch.cat([part.weight.new_zeros(len(part.weight)) if part.bias is None else part.bias for part in parts]),
    )
