"""The adapter of ESPnet, the only module that imports it: defaults of training configs, and their networks."""

from __future__ import annotations

import argparse
import copy
import importlib
import io
import logging
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from k2d.core.errors import K2DError
from k2d.core.stand_ins import empty_module, standing_in
from k2d.models.espnet_s2t.fast_decode import quicken


def default_config() -> dict[str, Any]:
    """Every key of a training config with ESPnet's default."""
    with _quiet():
        parser = _task().get_parser()
        config = vars(parser.parse_args([]))
    return {key: copy.deepcopy(value) for key, value in config.items() if key not in ("config", "required")}


def build_network(config: Mapping[str, Any]) -> nn.Module:
    """The network of a complete config, with random weights, ready for inference."""
    with _quiet():
        try:
            network: nn.Module = _task().build_model(argparse.Namespace(**copy.deepcopy(dict(config))))
        except Exception as error:
            raise K2DError(f"ESPnet cannot build the model of this config: {type(error).__name__}: {error}") from error
    quicken(network)
    for module in network.modules():
        if "attn" in vars(module):  # the tensor; a part of that name is a module
            module.register_forward_hook(_forget_attention)
    return network.eval()


def feature_statistics(config: Mapping[str, Any], speech: Iterable[Tensor]) -> bytes:
    """The statistics for `normalize: global_mvn`: sums over features of some speech, in ESPnet's format."""
    with _quiet():
        (choices,) = (each for each in _task().class_choices_list if each.name == "frontend")
        frontend = choices.get_class(config.get("frontend") or choices.default)(**(config.get("frontend_conf") or {}))
    count, total, squares = 0, 0.0, 0.0
    for samples_N in speech:
        features_TF = frontend(samples_N[None], torch.tensor([len(samples_N)]))[0][0].double()
        count += len(features_TF)
        total, squares = total + features_TF.sum(0), squares + features_TF.square().sum(0)
    if not count:
        raise K2DError("there is no speech for the statistics of the features")
    file = io.BytesIO()
    np.savez(file, count=np.array(count), sum=np.asarray(total), sum_square=np.asarray(squares))
    return file.getvalue()


def _forget_attention(module: Any, *_: Any) -> None:
    """ESPnet keeps the attention of the last batch for plots, which needs memory and prevents copies of the network."""
    module.attn = None


def _task() -> Any:
    import typeguard

    # It compiles a thousand functions a second time, with checks of the types of their arguments.
    checked, typeguard.typechecked = typeguard.typechecked, lambda function: function  # type: ignore[assignment]
    try:
        with standing_in(_UNUSED):
            importlib.import_module("librosa.filters")  # the front end's; it imports scipy.signal too
            from espnet2.tasks.s2t import S2TTask
    finally:
        typeguard.typechecked = checked
    warnings.filterwarnings("ignore", category=FutureWarning, module="espnet2")
    return S2TTask


_PLOTS = "espnet2.main_funcs.calculate_all_attentions"
# ESPnet imports these for parts of models that `check_config` refuses, for English phonemes, cleaners and simulated
# rooms, and for plots of its own training. With them, an import takes ten seconds instead of one, in every process:
# transformers; nltk with scikit-learn, which also downloads dictionaries; hydra; and scipy.stats.
_UNUSED: Mapping[str, ModuleType | None] = {
    "transformers": None,
    "whisper": None,
    "g2p_en": empty_module("g2p_en"),
    "hydra": empty_module("hydra"),
    "omegaconf": empty_module("omegaconf", DictConfig=None, ListConfig=None),
    "scipy.signal": empty_module("scipy.signal"),
    _PLOTS: empty_module(_PLOTS, calculate_all_attentions=None),
}


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what ESPnet prints and logs while a network is built."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
