"""Converts names of a Whisper network's weights from OpenAI's to Hugging Face's and back. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from k2d.core.errors import K2DError

T = TypeVar("T")

OUTPUT = "proj_out.weight"
"""Hugging Face's name for the output layer, which is tied to the token embedding."""
EMBEDDING = "model.decoder.embed_tokens.weight"

_WHOLE = {
    "encoder.positional_embedding": "model.encoder.embed_positions.weight",
    "decoder.positional_embedding": "model.decoder.embed_positions.weight",
    "decoder.token_embedding.weight": EMBEDDING,
}
_SIDES = {"encoder": {"ln_post": "layer_norm", "conv1": "conv1", "conv2": "conv2"}, "decoder": {"ln": "layer_norm"}}
_OF_BLOCK = {
    "attn_ln": "self_attn_layer_norm",
    "cross_attn_ln": "encoder_attn_layer_norm",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
    **{
        f"{ours}.{part}": f"{theirs}.{name}"
        for ours, theirs in {"attn": "self_attn", "cross_attn": "encoder_attn"}.items()
        for part, name in {"query": "q_proj", "key": "k_proj", "value": "v_proj", "out": "out_proj"}.items()
    },
}
_OPENAI_BLOCK = re.compile(r"(encoder|decoder)\.blocks\.([0-9]+)\.(.+)\.(weight|bias)")
_OPENAI_SIDE = re.compile(r"(encoder|decoder)\.([a-z0-9_]+)\.(weight|bias)")
_HUGGINGFACE_BLOCK = re.compile(r"model\.(encoder|decoder)\.layers\.([0-9]+)\.(.+)\.(weight|bias)")
_HUGGINGFACE_SIDE = re.compile(r"model\.(encoder|decoder)\.([a-z0-9_]+)\.(weight|bias)")


def hugging_face_name(name: str) -> str | None:
    """Hugging Face's name for a weight with a name of OpenAI's. None: there is none.

    >>> hugging_face_name("decoder.blocks.3.cross_attn.query.bias")
    'model.decoder.layers.3.encoder_attn.q_proj.bias'
    """
    if name in _WHOLE:
        return _WHOLE[name]
    if found := _OPENAI_BLOCK.fullmatch(name):
        side, number, part, kind = found.groups()
        return f"model.{side}.layers.{number}.{_OF_BLOCK[part]}.{kind}" if part in _OF_BLOCK else None
    if (found := _OPENAI_SIDE.fullmatch(name)) and found[2] in _SIDES[found[1]]:
        return f"model.{found[1]}.{_SIDES[found[1]][found[2]]}.{found[3]}"
    return None


def openai_name(name: str) -> str | None:
    """OpenAI's name for a weight with a name of Hugging Face's. None: there is none.

    >>> openai_name("model.encoder.layers.0.fc1.weight"), openai_name("model.encoder.layer_norm.bias")
    ('encoder.blocks.0.mlp.0.weight', 'encoder.ln_post.bias')
    """
    if name in _WHOLE_BACK:
        return _WHOLE_BACK[name]
    if found := _HUGGINGFACE_BLOCK.fullmatch(name):
        side, number, part, kind = found.groups()
        return f"{side}.blocks.{number}.{_OF_BLOCK_BACK[part]}.{kind}" if part in _OF_BLOCK_BACK else None
    if (found := _HUGGINGFACE_SIDE.fullmatch(name)) and found[2] in _SIDES_BACK[found[1]]:
        return f"{found[1]}.{_SIDES_BACK[found[1]][found[2]]}.{found[3]}"
    return None


def to_hugging_face(state: Mapping[str, T]) -> dict[str, T]:
    """Give a state dict of OpenAI's the names of Hugging Face. The output layer, which is tied, is not part of it."""
    renamed: dict[str, T] = {}
    for name, value in state.items():
        if (found := hugging_face_name(name)) is None:
            raise K2DError(f"{name}: no weight of a Whisper network has this name; use a plain Whisper model")
        renamed[found] = value
    return renamed


_WHOLE_BACK = {theirs: ours for ours, theirs in _WHOLE.items()}
_OF_BLOCK_BACK = {theirs: ours for ours, theirs in _OF_BLOCK.items()}
_SIDES_BACK = {side: {theirs: ours for ours, theirs in names.items()} for side, names in _SIDES.items()}
