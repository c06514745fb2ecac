"""CTranslate2's names for the weights of a Whisper network, and how it joins them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from k2d.models.whisper.dims import Shape, WhisperDims, shapes

EMBEDDING, OUTPUT = "decoder/embeddings/weight", "decoder/projection/weight"
POSITIONS = {side: f"{side}/position_encodings/encodings" for side in ("encoder", "decoder")}
HEADS = {side: f"{side}/num_heads" for side in ("encoder", "decoder")}
FIRST_CONVOLUTION = "encoder/conv1/weight"

_WHOLE = {
    "encoder.positional_embedding": POSITIONS["encoder"],
    "decoder.positional_embedding": POSITIONS["decoder"],
    "decoder.token_embedding.weight": EMBEDDING,
}
_NORM_KINDS = {"weight": "gamma", "bias": "beta"}
_NORMS = {"ln_post": "layer_norm", "ln": "layer_norm"}
_BLOCK_NORMS = {"attn_ln": "self_attention", "cross_attn_ln": "attention", "mlp_ln": "ffn"}
_BLOCK = re.compile(r"(encoder|decoder)\.blocks\.([0-9]+)\.(.+)\.(weight|bias)")
_SIDE = re.compile(r"(encoder|decoder)\.([a-z0-9_]+)\.(weight|bias)")
_LAYER = re.compile(r"(encoder|decoder)/layer_([0-9]{1,4})/")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a weight is stored: in a variable, or in one of its equal parts along the first axis."""

    variable: str
    part: int = 0
    n_parts: int = 1


_LINEAR = {
    "attn.query": Place("self_attention/linear_0", 0, 3),
    "attn.key": Place("self_attention/linear_0", 1, 3),
    "attn.value": Place("self_attention/linear_0", 2, 3),
    "attn.out": Place("self_attention/linear_1"),
    "cross_attn.query": Place("attention/linear_0"),
    "cross_attn.key": Place("attention/linear_1", 0, 2),
    "cross_attn.value": Place("attention/linear_1", 1, 2),
    "cross_attn.out": Place("attention/linear_2"),
    "mlp.0": Place("ffn/linear_0"),
    "mlp.2": Place("ffn/linear_1"),
}


def place_of(name: str) -> Place:
    """Where the weight with this name of OpenAI's is stored.

    >>> place_of("decoder.blocks.3.cross_attn.value.bias")
    Place(variable='decoder/layer_3/attention/linear_1/bias', part=1, n_parts=2)
    >>> place_of("encoder.ln_post.weight")
    Place(variable='encoder/layer_norm/gamma', part=0, n_parts=1)
    """
    if name in _WHOLE:
        return Place(_WHOLE[name])
    if found := _BLOCK.fullmatch(name):
        side, number, part, kind = found.groups()
        layer = f"{side}/layer_{number}"
        if part in _BLOCK_NORMS:
            return Place(f"{layer}/{_BLOCK_NORMS[part]}/layer_norm/{_NORM_KINDS[kind]}")
        linear = _LINEAR[part]
        return Place(f"{layer}/{linear.variable}/{kind}", linear.part, linear.n_parts)
    found = _SIDE.fullmatch(name)
    assert found is not None, name
    side, part, kind = found.groups()
    return Place(f"{side}/{_NORMS[part]}/{_NORM_KINDS[kind]}" if part in _NORMS else f"{side}/{part}/{kind}")


def key_biases(dims: WhisperDims) -> list[Place]:
    """Where biases of keys would be stored. OpenAI's networks have none, so these parts must be zeros."""
    keys = [name for name in shapes(dims) if name.endswith(".key.weight")]
    return [place_of(name.removesuffix("weight") + "bias") for name in keys]


def variable_shapes(dims: WhisperDims) -> dict[str, Shape]:
    """Every variable that holds weights of such a network, with its shape."""
    found: dict[str, Shape] = {}
    for name, shape in shapes(dims).items():
        place = place_of(name)
        found[place.variable] = (place.n_parts * shape[0], *shape[1:])
    return {**found, OUTPUT: found[EMBEDDING]}


def n_layers(variables: Mapping[str, object], side: str) -> int:
    """The number of layers: one more than the largest layer number in a name.

    >>> n_layers({"encoder/layer_0/ffn/linear_0/weight": 0, "encoder/layer_3/ffn/linear_0/weight": 0}, "encoder")
    4
    """
    numbers = (int(found[2]) for name in variables if (found := _LAYER.match(name)) and found[1] == side)
    return max(numbers, default=-1) + 1
