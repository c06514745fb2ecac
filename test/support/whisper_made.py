"""Tiny Whisper checkpoints with random weights, in the formats of OpenAI and Hugging Face."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from k2d.models.whisper.dims import WhisperDims, shapes
from k2d.models.whisper.huggingface_names import to_hugging_face

TINY = WhisperDims(80, 1500, 16, 2, 2, 51_865, 448, 16, 2, 3)
ENGLISH = replace(TINY, n_vocab=51_864)
V3 = replace(TINY, n_mels=128, n_vocab=51_866)


def made_state(dims: WhisperDims = TINY, seed: int = 0) -> dict[str, Tensor]:
    """Weights so large that the text depends on the audio."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes(dims).items():
        scale = 0.3 if len(shape) == 1 else 1.5 * shape[-1] ** -0.5
        state[name] = torch.randn(shape, generator=generator) * scale
        if "ln" in name.split(".")[-2] and name.endswith("weight"):
            state[name] += 1
    return state


def write_openai(path: Path, dims: WhisperDims = TINY, state: dict[str, Tensor] | None = None) -> Path:
    """A `.pt` as openai-whisper publishes and loads it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": dims.as_dict(), "model_state_dict": made_state(dims) if state is None else state}, path)
    return path


def huggingface_config(dims: WhisperDims) -> dict[str, Any]:
    """The keys of a published config.json that describe the network."""
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "vocab_size": dims.n_vocab,
        "num_mel_bins": dims.n_mels,
        "d_model": dims.n_audio_state,
        "encoder_layers": dims.n_audio_layer,
        "encoder_attention_heads": dims.n_audio_head,
        "decoder_layers": dims.n_text_layer,
        "decoder_attention_heads": dims.n_text_head,
        "encoder_ffn_dim": 4 * dims.n_audio_state,
        "decoder_ffn_dim": 4 * dims.n_text_state,
        "max_source_positions": dims.n_audio_ctx,
        "max_target_positions": dims.n_text_ctx,
        "activation_function": "gelu",
        "scale_embedding": False,
        "bos_token_id": 50257,
        "eos_token_id": 50257,
        "pad_token_id": 50257,
        "decoder_start_token_id": 50258,
    }


def write_hugging_face(
    folder: Path,
    dims: WhisperDims = TINY,
    state: dict[str, Tensor] | None = None,
    *,
    n_files: int = 1,
    **generation: Any,
) -> Path:
    """A folder as `save_pretrained` writes it: one file of safetensors, or several with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(huggingface_config(dims)))
    if generation:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    named = to_hugging_face(made_state(dims) if state is None else state)
    if n_files == 1:
        save_file(named, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    places = {name: f"model-{n % n_files + 1:05d}-of-{n_files:05d}.safetensors" for n, name in enumerate(named)}
    for file in set(places.values()):
        save_file({name: named[name] for name in named if places[name] == file}, folder / file, {"format": "pt"})
    index = {"metadata": {"total_size": sum(t.nbytes for t in named.values())}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder
