"""CTranslate2 folders of tiny Whispers, packed byte by byte without its library, so that they can have faults."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from whisper_made import TINY, made_state

from k2d.models.whisper.dims import WhisperDims

NUMBERS = {
    torch.float32: 0,
    torch.int8: 1,
    torch.int16: 2,
    torch.int32: 3,
    torch.float16: 4,
    torch.bfloat16: 5,
}
FLOATS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}

Records = dict[str, bytes]


def write_ctranslate2(
    folder: Path,
    dims: WhisperDims = TINY,
    state: Mapping[str, Tensor] | None = None,
    *,
    numbers: str = "fp32",
    revision: int = 3,
    vocabulary: str = "vocabulary.json",
    **config: Any,
) -> Path:
    """Write a folder as the converter does, in numbers of one type."""
    folder.mkdir(parents=True, exist_ok=True)
    made = records(dims, made_state(dims) if state is None else state, numbers)
    (folder / "model.bin").write_bytes(packed(made, revision=revision))
    (folder / "config.json").write_text(json.dumps({"suppress_ids": None, "suppress_ids_begin": None, **config}))
    words = tokens(dims.n_vocab)
    text = json.dumps(words) if vocabulary.endswith("json") else "".join(f"{word}\n" for word in words)
    (folder / vocabulary).write_text(text, encoding="utf-8", newline="")
    return folder


def packed(
    made: Records,
    aliases: Iterable[tuple[str, str]] = (("decoder/projection/weight", "decoder/embeddings/weight"),),
    *,
    version: int = 6,
    specification: str = "WhisperSpec",
    revision: int = 3,
) -> bytes:
    """A `model.bin` of these records."""
    head = struct.pack("<I", version) + word(specification) + struct.pack("<I", revision)
    pairs = [word(alias) + word(name) for alias, name in aliases]
    body = struct.pack("<I", len(made)) + b"".join(word(name) + record for name, record in made.items())
    return head + body + struct.pack("<I", len(pairs)) + b"".join(pairs)


def word(text: str) -> bytes:
    return struct.pack("<H", len(text.encode()) + 1) + text.encode() + b"\0"


def record(numbers: Tensor) -> bytes:
    """Shape, type, size and content of a variable."""
    content = numbers.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    shape = struct.pack(f"<B{numbers.ndim}I", numbers.ndim, *numbers.shape)
    return shape + struct.pack("<BI", NUMBERS[numbers.dtype], len(content)) + content


def scalar(value: float, dtype: torch.dtype = torch.int8) -> bytes:
    return record(torch.tensor(value, dtype=dtype))


def records(dims: WhisperDims, state: Mapping[str, Tensor], numbers: str = "fp32") -> Records:
    """The variables of a network, in the order of their names."""
    found: Records = {
        "decoder/activation": scalar(3),
        "decoder/alibi": scalar(0),
        "decoder/alignment_heads": scalar(1, torch.int16),
        "decoder/alignment_layer": scalar(-1, torch.int16),
        "decoder/num_heads": scalar(dims.n_text_head, torch.int16),
        "decoder/pre_norm": scalar(1),
        "decoder/scale_embeddings": scalar(0),
        "decoder/start_from_zero_embedding": scalar(0),
        "encoder/num_heads": scalar(dims.n_audio_head, torch.int16),
    }
    for name, tensor in _joined(dims, state).items():
        found |= _stored(name, tensor, numbers)
    return dict(sorted(found.items()))


def _joined(dims: WhisperDims, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    found = {
        "decoder/embeddings/weight": state["decoder.token_embedding.weight"],
        "decoder/position_encodings/encodings": state["decoder.positional_embedding"],
        "encoder/position_encodings/encodings": state["encoder.positional_embedding"],
        **_norm("decoder/layer_norm", state, "decoder.ln"),
        **_norm("encoder/layer_norm", state, "encoder.ln_post"),
    }
    for conv in ("conv1", "conv2"):
        found |= {f"encoder/{conv}/{kind}": state[f"encoder.{conv}.{kind}"] for kind in ("weight", "bias")}
    for side, n_layers in (("encoder", dims.n_audio_layer), ("decoder", dims.n_text_layer)):
        for n in range(n_layers):
            found |= _layer(f"{side}/layer_{n}", state, f"{side}.blocks.{n}")
    return found


def _layer(name: str, state: Mapping[str, Tensor], block: str) -> dict[str, Tensor]:
    found = {
        **_norm(f"{name}/self_attention/layer_norm", state, f"{block}.attn_ln"),
        **_linear(f"{name}/self_attention/linear_0", state, *(f"{block}.attn.{w}" for w in ("query", "key", "value"))),
        **_linear(f"{name}/self_attention/linear_1", state, f"{block}.attn.out"),
        **_norm(f"{name}/ffn/layer_norm", state, f"{block}.mlp_ln"),
        **_linear(f"{name}/ffn/linear_0", state, f"{block}.mlp.0"),
        **_linear(f"{name}/ffn/linear_1", state, f"{block}.mlp.2"),
    }
    if f"{block}.cross_attn_ln.weight" in state:
        found |= _norm(f"{name}/attention/layer_norm", state, f"{block}.cross_attn_ln")
        found |= _linear(f"{name}/attention/linear_0", state, f"{block}.cross_attn.query")
        found |= _linear(f"{name}/attention/linear_1", state, *(f"{block}.cross_attn.{w}" for w in ("key", "value")))
        found |= _linear(f"{name}/attention/linear_2", state, f"{block}.cross_attn.out")
    return found


def _norm(name: str, state: Mapping[str, Tensor], own: str) -> dict[str, Tensor]:
    return {f"{name}/gamma": state[f"{own}.weight"], f"{name}/beta": state[f"{own}.bias"]}


def _linear(name: str, state: Mapping[str, Tensor], *parts: str) -> dict[str, Tensor]:
    weights = [state[f"{part}.weight"] for part in parts]
    biases = [state.get(f"{part}.bias", torch.zeros(len(weights[0]))) for part in parts]
    return {f"{name}/weight": torch.cat(weights), f"{name}/bias": torch.cat(biases)}


def _stored(name: str, tensor: Tensor, numbers: str) -> Records:
    """Store a tensor in floating-point numbers of this type, or in int8 or int16 with a scale."""
    if numbers in FLOATS:
        return {name: record(tensor.to(FLOATS[numbers]))}
    if not name.endswith("weight"):
        return {name: record(tensor)}
    rows = tensor.view(len(tensor), -1)
    scale = 127 / rows.abs().amax(1) if numbers == "int8" else 2**10 / rows.abs().amax()
    steps = (rows * (scale.unsqueeze(1) if scale.ndim else scale)).round().view_as(tensor)
    return {name: record(steps.to(getattr(torch, numbers))), f"{name}_scale": record(scale)}


@cache
def tokens(n_vocab: int) -> tuple[str, ...]:
    """Whisper's tokens as Hugging Face writes them, taken from its own library's tables."""
    from k2d.export.byte_pairs import vocabulary
    from k2d.export.huggingface_tokenizer import Vocabulary
    from k2d.models.whisper import library

    dims = WhisperDims(80, 1500, 1, 1, 1, n_vocab, 448, 1, 1, 1)
    words = Vocabulary.of(library.vocabulary(dims))
    found = {number: token for token, number in (vocabulary(words.ranks) | dict(words.specials)).items()}
    return tuple(found[number] for number in range(n_vocab))
