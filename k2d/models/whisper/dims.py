"""The sizes of Whisper networks: those that are published, the shape of each weight, the parameters of each part.

Does not import torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import prod

WEIGHTS, HUGGINGFACE_CONFIG, BINARY = "model.pt", "config.json", "model.bin"
"""The files by which a saved folder, one of Hugging Face's format and one of CTranslate2's are recognised."""

N_SAMPLES, RATE_HZ = 480_000, 16_000
N_AUDIO_CTX = 1500
N_VOCABULARY = {51_864: "English-only", 51_865: "99 languages", 51_866: "100 languages, since large-v3"}
N_MELS = (80, 128)

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WhisperDims:
    """The sizes under the names of OpenAI's checkpoints (`state` is the width, `ctx` the number of positions)."""

    n_mels: int
    n_audio_ctx: int
    n_audio_state: int
    n_audio_head: int
    n_audio_layer: int
    n_vocab: int
    n_text_ctx: int
    n_text_state: int
    n_text_head: int
    n_text_layer: int

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    def with_text_layers(self, n_layers: int) -> WhisperDims:
        return replace(self, n_text_layer=n_layers)

    @property
    def is_multilingual(self) -> bool:
        return self.n_vocab >= 51_865

    @property
    def n_languages(self) -> int:
        """Language tokens in the vocabulary. English-only models have them as well but do not use them."""
        return self.n_vocab - 51_765 - int(self.is_multilingual)


def _dims(n_mels: int, n_vocab: int, width: int, heads: int, n_layers: int, n_text_layers: int) -> WhisperDims:
    audio, text = (N_AUDIO_CTX, width, heads, n_layers), (448, width, heads, n_text_layers)
    return WhisperDims(n_mels, *audio, n_vocab, *text)


def _published() -> dict[str, WhisperDims]:
    sizes = {
        "tiny": (384, 6, 4, 4),
        "base": (512, 8, 6, 6),
        "small": (768, 12, 12, 12),
        "medium": (1024, 16, 24, 24),
    }
    found = {name: _dims(80, 51_865, *size) for name, size in sizes.items()}
    found |= {f"{name}.en": _dims(80, 51_864, *size) for name, size in sizes.items()}
    for name in ("large-v1", "large-v2"):
        found[name] = _dims(80, 51_865, 1280, 20, 32, 32)
    for name in ("large-v3", "large"):
        found[name] = _dims(128, 51_866, 1280, 20, 32, 32)
    for name in ("large-v3-turbo", "turbo"):
        found[name] = _dims(128, 51_866, 1280, 20, 32, 4)
    return found


PUBLISHED: Mapping[str, WhisperDims] = _published()
"""By openai-whisper's names."""


def shapes(dims: WhisperDims) -> dict[str, Shape]:
    """The shape of each weight of a checkpoint, by OpenAI's names and in their order."""
    audio, text = dims.n_audio_state, dims.n_text_state
    found: dict[str, Shape] = {
        "decoder.positional_embedding": (dims.n_text_ctx, text),
        "decoder.token_embedding.weight": (dims.n_vocab, text),
    }
    for n in range(dims.n_text_layer):
        found |= _block(f"decoder.blocks.{n}", text, ("attn", "cross_attn"))
    found |= _norm("decoder.ln", text)
    found["encoder.positional_embedding"] = (dims.n_audio_ctx, audio)
    found |= {"encoder.conv1.weight": (audio, dims.n_mels, 3), "encoder.conv1.bias": (audio,)}
    found |= {"encoder.conv2.weight": (audio, audio, 3), "encoder.conv2.bias": (audio,)}
    for n in range(dims.n_audio_layer):
        found |= _block(f"encoder.blocks.{n}", audio, ("attn",))
    return found | _norm("encoder.ln_post", audio)


def n_parameters(dims: WhisperDims) -> dict[str, int]:
    """The parameters of each part. The encoder's positions are a table of sines and are not counted."""
    counts = {"encoder": 0, "decoder": 0}
    for name, shape in shapes(dims).items():
        if name != "encoder.positional_embedding":
            counts[name.split(".", 1)[0]] += prod(shape)
    return counts


def _block(name: str, width: int, attentions: tuple[str, ...]) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for attention in attentions:
        for part in ("query", "key", "value", "out"):
            found[f"{name}.{attention}.{part}.weight"] = (width, width)
            if part != "key":
                found[f"{name}.{attention}.{part}.bias"] = (width,)
        found |= _norm(f"{name}.{attention}_ln", width)
    found |= {f"{name}.mlp.0.weight": (4 * width, width), f"{name}.mlp.0.bias": (4 * width,)}
    found |= {f"{name}.mlp.2.weight": (width, 4 * width), f"{name}.mlp.2.bias": (width,)}
    return found | _norm(f"{name}.mlp_ln", width)


def _norm(name: str, width: int) -> dict[str, Shape]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
