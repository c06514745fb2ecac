"""Training configs of ESPnet's S2T task: which ones are supported, and where the files are that they name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from k2d.core.atomic import PARTIAL
from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import PROJECT_ROOT, shown

CONFIG = "config.yaml"
"""The file by which a model folder is recognised."""

_TAKEN: Mapping[str, tuple[str | None, ...]] = {
    "model": ("espnet",),
    "frontend": ("default",),
    "specaug": (None, "specaug"),
    "normalize": (None, "utterance_mvn", "global_mvn"),
    "preencoder": (None,),
    "encoder": ("e_branchformer", "branchformer", "conformer", "transformer"),
    "postencoder": (None,),
    "decoder": ("transformer",),
    "preprocessor": ("s2t",),
    "token_type": ("bpe",),
}
_DECODER_OPTIONS: Mapping[str, Any] = {"input_layer": "embed", "use_output_layer": True, "concat_after": False}


def read_config(path: Path) -> dict[str, Any]:
    """Load a config.yaml in ESPnet's form, with a safe loader."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the other one takes 20 s for a vocabulary of 50,000
    try:
        with path.open("rb") as file:
            config = yaml.load(file, Loader=loader)  # noqa: S506 - it is a safe one
    except FileNotFoundError:
        raise K2DError(f"{shown(path)}: not there; expected the training config of an ESPnet model folder") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise K2DError(f"{shown(path)}: not a config of ESPnet: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise K2DError(f"{shown(path)}: not a config of ESPnet: expected keys and values")
    return config


def check_config(config: Mapping[str, Any], where: str) -> None:
    """Refuse models that are not supported, before any part of them is built or downloaded."""
    if config.get("preprocessor") == "s2t_ctc" or str(config.get("encoder", "")).endswith("_ctc"):
        raise K2DError(f"{where}: an OWSM-CTC model; it has no decoder that writes timestamps, use an OWSM (S2T) model")
    for key, taken in _TAKEN.items():
        if key in config and config[key] not in taken:
            known = ", ".join(str(name) for name in taken)
            raise K2DError(
                f"{where}: {key} is {config[key]!r}; this toolkit reads ESPnet S2T models with {key}: {known}"
            )
    of_decoder = config.get("decoder_conf") or {}
    for key, expected in _DECODER_OPTIONS.items():
        if of_decoder.get(key, expected) != expected:
            raise K2DError(f"{where}: decoder_conf.{key} is {of_decoder[key]!r}; only {expected!r} is supported")
    if config.get("use_adapter"):
        raise K2DError(f"{where}: the model has adapters; merge them into its weights first")
    if (config.get("model_conf") or {}).get("ctc_weight", 0.5) == 1.0:
        raise K2DError(f"{where}: model_conf.ctc_weight is 1.0, so the model has no decoder; give it less")


def completed(config: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A config of ours, completed with ESPnet's defaults. Unknown keys are refused."""
    for key in config:
        if key not in defaults:
            near = difflib.get_close_matches(key, list(defaults), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UsageError(f"{where}: {key} is no key of an ESPnet S2T config{hint}")
    return {**defaults, **config}


def tokens_of(config: Mapping[str, Any], where: str) -> list[str]:
    """The token list in the config of a trained model."""
    tokens = config.get("token_list")
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise K2DError(f"{where}: token_list is not a list of tokens; expected it inline, as ESPnet writes it")
    return tokens


def find_file(named: str | None, folder: Path, names: Sequence[str], what: str) -> Path:
    """Find a file that a config names, maybe by another machine's path: beside the config first, then at that path."""
    beside = [folder / name for name in (*([Path(named).name] if named else []), *names)]
    said = [base / named for base in (PROJECT_ROOT, Path.cwd(), *folder.parents[:3])] if named else []
    for path in (*beside, *said):
        if path.is_file():
            return path
    told = f"config.yaml names {named}" if named else "config.yaml names none"
    raise K2DError(f"{shown(folder)}: its {what} is not there ({told}); put the file beside config.yaml")


def written_path(path: Path) -> str:
    """A path as stored in a config. ESPnet resolves it from the project's root; the folder's final name is used."""
    final = Path(*(_final(part) for part in path.absolute().parts))
    return shown(final)


def _final(name: str) -> str:
    return name[1:].removesuffix(PARTIAL) if name.startswith(".") and name.endswith(PARTIAL) else name
