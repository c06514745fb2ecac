"""Export a packed ESPnet model: the zip format of ESPnet's recipes, with a list of its files in meta.yaml."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from k2d.core.errors import K2DError
from k2d.export.equivalence import Agreement, agreement
from k2d.export.request import ExportRequest
from k2d.models.espnet_s2t.folder import STATISTICS, WEIGHTS
from k2d.models.espnet_s2t.training_config import CONFIG, read_config
from k2d.models.espnet_s2t.vocabulary import PIECES, TOKENS
from k2d.models.parity_check import Probe

META = "meta.yaml"
_DATE = (1980, 1, 1, 0, 0, 0)  # a fixed date, so that equal models give equal files


def write(model: Path, request: ExportRequest, folder: Path) -> None:
    """Write `<name>.zip` from a model folder of this toolkit."""
    _pack(model, packed(folder, request.name), f"exp/{request.name}")


def packed(folder: Path, name: str) -> Path:
    return folder / f"{name}.zip"


def _pack(model: Path, target: Path, inside: str) -> None:
    """Pack a model folder into a zip. Paths in its config become relative; ESPnet rewrites them on unpacking."""
    config = dict(read_config(model / CONFIG))
    config["bpemodel"] = f"{inside}/{PIECES}"
    if (model / STATISTICS).is_file():
        config["normalize_conf"] = {**config["normalize_conf"], "stats_file": f"{inside}/{STATISTICS}"}
    meta = {
        "yaml_files": {"s2t_train_config": f"{inside}/{CONFIG}"},
        "files": {"s2t_model_file": f"{inside}/{WEIGHTS}"},
        "espnet": version("espnet"),
        "torch": version("torch"),
    }
    names = [name for name in (WEIGHTS, PIECES, TOKENS, STATISTICS) if (model / name).is_file()]
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo(META, _DATE), _yaml(meta))
        archive.writestr(zipfile.ZipInfo(f"{inside}/{CONFIG}", _DATE), _yaml(config))
        for name in names:
            entry = zipfile.ZipInfo(f"{inside}/{name}", _DATE)
            with (model / name).open("rb") as file, archive.open(entry, "w", force_zip64=True) as packed_file:
                shutil.copyfileobj(file, packed_file, 1 << 20)


def _yaml(content: Mapping[str, Any]) -> str:
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    written: str = yaml.dump(dict(content), Dumper=dumper, allow_unicode=True, sort_keys=False)
    return written


def loaded_back(folder: Path, request: ExportRequest, probe: Probe, ours: Tensor) -> Agreement:
    """Unpack it with ESPnet, load it in Speech2Text, and compare the logits."""
    with tempfile.TemporaryDirectory() as unpacked:
        logits_BLV = _espnets_logits(packed(folder, request.name), unpacked, probe)
    return agreement("espnet", ours, logits_BLV)


def _espnets_logits(archive: Path, unpacked: str, probe: Probe) -> Tensor:
    from espnet2.bin.s2t_inference import Speech2Text
    from espnet2.main_funcs.pack_funcs import unpack

    try:
        with contextlib.redirect_stdout(io.StringIO()), torch.inference_mode():
            network = Speech2Text(**unpack(archive, unpacked)).s2t_model
            n_samples_B = torch.tensor([probe.speech_BN.shape[1]])
            states, n_frames_B = network.encode(probe.speech_BN, n_samples_B)
            states_BTD = states[0] if isinstance(states, tuple) else states
            lengths_B = torch.tensor([probe.tokens_BL.shape[1]])
            logits_BLV: Tensor = network.decoder(states_BTD, n_frames_B, probe.tokens_BL, lengths_B)[0]
    except Exception as error:  # any error of its readers
        raise K2DError(f"{archive.name}: ESPnet cannot load it: {type(error).__name__}: {error}") from error
    return logits_BLV
