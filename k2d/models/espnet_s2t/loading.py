"""Load ESPnet S2T recognisers from a model folder, or make new ones from a training config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from k2d.core.layout import shown
from k2d.models.espnet_s2t.codec import S2TCodec
from k2d.models.espnet_s2t.folder import (
    STATISTICS,
    ModelFiles,
    check_tokens_file,
    read_weights,
    weights_of,
)
from k2d.models.espnet_s2t.init import prepare
from k2d.models.espnet_s2t.library import build_network, default_config
from k2d.models.espnet_s2t.pieces import read_pieces
from k2d.models.espnet_s2t.recogniser import S2TRecogniser
from k2d.models.espnet_s2t.training_config import CONFIG, check_config, completed, find_file, read_config, tokens_of
from k2d.models.espnet_s2t.vocabulary import PIECES, TOKENS, layout_of, preprocessor_conf
from k2d.models.weights_file import check_weights


def load_s2t(path: Path, language: str | None = None) -> S2TRecogniser:
    """Load a model folder, or a file of weights in it, made here or by ESPnet's own recipe."""
    folder = path if path.is_dir() else path.parent
    where = shown(folder / CONFIG)
    config = read_config(folder / CONFIG)
    check_config(config, where)
    tokens = tokens_of(config, where)
    check_tokens_file(folder / TOKENS, tokens)
    pieces = find_file(config.get("bpemodel"), folder, [PIECES], "sentencepiece model")
    codec = S2TCodec(tokens, read_pieces(pieces), layout_of(config), language)
    weights = weights_of(folder) if path.is_dir() else path
    state = read_weights(weights)
    recogniser = _built(config, codec, folder)
    expected = {name: tensor.shape for name, tensor in recogniser.network.state_dict().items()}
    check_weights(state, expected, shown(weights), f"this {CONFIG}")
    recogniser.network.load_state_dict(state)
    return recogniser


def new_s2t(config: Mapping[str, Any], tokens: Sequence[str], pieces_model: Path, *, seed: int) -> S2TRecogniser:
    """A network with random weights from a config in ESPnet's format, in which defaults may be left out."""
    where = "model config"
    complete = completed(config, default_config(), where)
    complete["token_list"] = list(tokens)
    symbols = preprocessor_conf(layout_of(complete).window)
    complete["preprocessor_conf"] = {**symbols, **complete["preprocessor_conf"]}
    check_config(complete, where)
    codec = S2TCodec(tokens, read_pieces(pieces_model), layout_of(complete))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        recogniser = _built(complete, codec, pieces_model.parent)
    prepare(recogniser.network)
    return recogniser


def _built(config: Mapping[str, Any], codec: S2TCodec, folder: Path) -> S2TRecogniser:
    """The recogniser of a config. The statistics of global_mvn are searched in the folder first."""
    if config.get("normalize") != "global_mvn":
        return S2TRecogniser(build_network(config), codec, ModelFiles(config))
    of_normalize = config.get("normalize_conf") or {}
    found = find_file(of_normalize.get("stats_file"), folder, [STATISTICS], "statistics of the features")
    network = build_network({**config, "normalize_conf": {**of_normalize, "stats_file": str(found)}})
    return S2TRecogniser(network, codec, ModelFiles(config, found.read_bytes()))
