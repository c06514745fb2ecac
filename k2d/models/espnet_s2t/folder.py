"""A model folder of ESPnet: config.yaml, weights, tokens and the sentencepiece model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.core.system_errors import reporting_full_disk
from k2d.models.espnet_s2t.training_config import CONFIG, written_path
from k2d.models.espnet_s2t.vocabulary import PIECES, TOKENS
from k2d.models.weights_file import read_torch_file

WEIGHTS, PARAMETERS, STATISTICS = "model.pth", "params.json", "feats_stats.npz"
_ESPNETS_BEST = "valid.acc.ave.pth"


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files from which a network is built."""

    config: Mapping[str, Any]
    """The complete config, with the token list."""
    statistics: bytes | None = None
    """The file of the features' mean and variance, if the config has global_mvn."""

    def with_decoder_layers(self, n_layers: int) -> ModelFiles:
        of_decoder = {**(self.config.get("decoder_conf") or {}), "num_blocks": n_layers}
        return replace(self, config={**self.config, "decoder_conf": of_decoder})


def write_folder(
    folder: Path, state: Mapping[str, Tensor], files: ModelFiles, pieces_model: bytes, n_parameters: Mapping[str, int]
) -> None:
    """Write a folder that loads here and in plain ESPnet. config.yaml is last: without it, it is not a model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**files.config, "bpemodel": written_path(folder / PIECES)}
    if files.statistics is not None:
        (folder / STATISTICS).write_bytes(files.statistics)
        config["normalize_conf"] = {**config["normalize_conf"], "stats_file": written_path(folder / STATISTICS)}
    with reporting_full_disk(folder / WEIGHTS):
        torch.save({name: _kept(tensor) for name, tensor in state.items()}, folder / WEIGHTS)
    (folder / PIECES).write_bytes(pieces_model)
    write_text(folder / TOKENS, "".join(f"{token}\n" for token in config["token_list"]))
    counts = {"total": sum(n_parameters.values()), **n_parameters}
    write_text(folder / PARAMETERS, json.dumps(counts, indent=1) + "\n")
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    write_text(folder / CONFIG, yaml.dump(config, Dumper=dumper, allow_unicode=True, sort_keys=False, width=120))


def _kept(tensor: Tensor) -> Tensor:
    """The tensor on the CPU in float32, as in ESPnet's own files."""
    return tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else tensor.dtype)


def weights_of(folder: Path) -> Path:
    """The file with a folder's weights: ours, the average that ESPnet makes at the end, or the only one."""
    for name in (WEIGHTS, _ESPNETS_BEST):
        if (folder / name).is_file():
            return folder / name
    found = sorted({path.resolve() for path in folder.glob("*.pth")})
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise K2DError(f"{shown(folder)}: expected one file of weights (*.pth), found {names}; name the file itself")
    return found[0]


def check_tokens_file(path: Path, tokens: list[str]) -> None:
    """Refuse tokens.txt if it differs from the token list in config.yaml: then one of them is of another model."""
    if not path.is_file():
        return
    try:
        written = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8; put the files of one model together"
        raise K2DError(f"{shown(path)}: {message}") from error
    if written != tokens:
        line = next((n for n, (a, b) in enumerate(zip(written, tokens, strict=False)) if a != b), len(written))
        raise K2DError(
            f"{shown(path)}: line {line + 1} differs from token_list in {CONFIG} "
            f"({len(written)} tokens here, {len(tokens)} there); put the files of one model together"
        )


def read_weights(path: Path) -> dict[str, Tensor]:
    """The plain state dict that ESPnet saves as a model."""
    state = read_torch_file(path)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise K2DError(
            f"{shown(path)}: not a plain state dict (names and tensors); name a model file, not a checkpoint"
        )
    return state
