"""The sizes of an ESPnet S2T model that determine its cost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.models.espnet_s2t.library import build_network, default_config
from k2d.models.espnet_s2t.training_config import check_config, completed, read_config
from k2d.models.espnet_s2t.vocabulary import layout_of, preprocessor_conf, special_symbols
from k2d.models.shape import Shape

_SUBSAMPLING = {"conv1d1": 1, "conv1d2": 2, "conv1d3": 3, "conv2d1": 1, "conv2d2": 2, "conv2d": 4, "conv2d6": 6,
                "conv2d8": 8, "linear": 1, "embed": 1}  # fmt: skip


def s2t_shape(path: Path, vocabulary_size: int) -> Shape:
    """The shape of a model folder, a file in it, or a model config, counted on a real network without memory.

    ESPnet has too many kinds of encoders for formulas.
    """
    file = path / "config.yaml" if path.is_dir() else path if path.suffix == ".yaml" else path.parent / "config.yaml"
    complete = {**completed(read_config(file), default_config(), shown(file)), "normalize": None}
    check_config(complete, shown(file))
    window = layout_of(complete).window
    complete["preprocessor_conf"] = {**preprocessor_conf(window), **complete["preprocessor_conf"]}
    if complete.get("token_list") is None:
        complete["token_list"] = _tokens(special_symbols(window), vocabulary_size)
    with torch.device("meta"):
        network: Any = build_network(complete)
    layers = network.decoder.decoders
    per_layer, n_layers = _count(layers[0]), len(layers)
    positions: Any = network.decoder.embed[1].pe
    return Shape(
        name=path.name if path.is_dir() else path.stem,
        window_s=window.length_s,
        n_frames=_n_frames(complete, window.n_samples),
        width=network.encoder.output_size(),
        n_heads=int((complete["decoder_conf"] or {}).get("attention_heads", 4)),
        n_encoder_layers=int((complete["encoder_conf"] or {}).get("num_blocks", 6)),
        n_decoder_layers=n_layers,
        n_vocabulary=len(complete["token_list"]),
        n_context=positions.shape[1],
        encoder_parameters=_count(network.encoder) + _count(network.ctc),
        layer_parameters=per_layer,
        rest_parameters=_count(network.decoder) - n_layers * per_layer,
        has_fused_attention=False,
    )


def _tokens(symbols: list[str], n_tokens: int) -> list[str]:
    """A vocabulary of the right size."""
    fixed = ["<blank>", "<unk>", *symbols, "<sos>", "<eos>", "<sop>"]
    return [*fixed, *(f"token{n}" for n in range(n_tokens - len(fixed)))]


def _n_frames(config: Mapping[str, Any], n_samples: int) -> int:
    """Frames of the encoder's output, without effects at the borders."""
    of_encoder, of_frontend = config.get("encoder_conf") or {}, config.get("frontend_conf") or {}
    layer = of_encoder.get("input_layer", "conv2d")
    if layer not in _SUBSAMPLING:
        raise K2DError(f"encoder_conf.input_layer: found {layer!r}, expected one of {', '.join(_SUBSAMPLING)}")
    return n_samples // int(of_frontend.get("hop_length", 128)) // _SUBSAMPLING[layer]


def _count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
