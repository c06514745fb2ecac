"""Reads a CTranslate2 folder (as faster-whisper loads it) as a checkpoint: sizes, weights under OpenAI's names, rules.

`model.bin` holds the network, `vocabulary.json` or `vocabulary.txt` its tokens, and `config.json` the tokens that are
never written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.models.weights_file import check_shapes
from k2d.models.whisper.checkpoint import Generation, WhisperWeights, are_ids, check_dims, checked, read_json
from k2d.models.whisper.ctranslate2_binary import TYPES, Binary, Variable, read_binary
from k2d.models.whisper.ctranslate2_names import (
    EMBEDDING,
    FIRST_CONVOLUTION,
    HEADS,
    OUTPUT,
    POSITIONS,
    key_biases,
    n_layers,
    place_of,
    variable_shapes,
)
from k2d.models.whisper.ctranslate2_vocabulary import check_vocabulary
from k2d.models.whisper.dims import BINARY, WhisperDims, n_parameters, shapes

CONFIG = "config.json"
_NEVER, _NEVER_FIRST, _LANGUAGES = "suppress_ids", "suppress_ids_begin", "lang_ids"
_MOST_PARAMETERS_PER_BYTE = 4
"""A weight takes at least a byte. Without a limit, many aliases of a small variable could fill the memory."""
_SCALE = "_scale"

_ANY_VALUE = {
    *HEADS.values(),
    *("decoder/alignment_heads", "decoder/alignment_layer"),  # for the times of words
    *("decoder/alibi_use_positive_positions", "decoder/scale_alibi"),  # without effect while decoder/alibi is 0
}
_VALUES = {"decoder/pre_norm": (1,), "decoder/activation": (1, 3)}
"""Activation 3 is GELU. Early converters wrote 1, an approximation of it, for the same weights. All other attributes
turn on features that no Whisper has, so they must be 0."""

log = logging.getLogger("k2d")


def read_ctranslate2(folder: Path) -> WhisperWeights:
    """Read the whole checkpoint. Each error names a remedy."""
    binary, dims = _read_header(folder)
    check_vocabulary(folder, dims)
    generation = _generation(_read_config(folder, dims))
    places = {name: place_of(name) for name in shapes(dims)}
    state = {name: _numbers(binary, binary.variables[at.variable], at.part, at.n_parts) for name, at in places.items()}
    _check_tied(binary)
    _check_key_biases(binary, dims)
    weights = checked(WhisperWeights(dims, state, generation), shown(binary.path), f"its {BINARY}")
    inexact = {each.type.name for each in binary.variables.values() if each.shape and each.type.is_quantised}
    if inexact:
        log.warning(
            "%s: its weights are %s numbers with scales, which are not exactly the trained ones; use the model "
            "in fp16 or fp32 if there is one",
            shown(folder),
            " and ".join(sorted(inexact)),
        )
    return weights


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything in a folder but its weights."""

    dims: WhisperDims
    generation: Generation
    language_ids: tuple[int, ...]
    """The tokens from which CTranslate2 chooses when it guesses a language."""


def read_ctranslate2_facts(folder: Path) -> Facts:
    """Read everything but the weights, with all checks that do not need them."""
    _, dims = _read_header(folder)
    check_vocabulary(folder, dims)
    config = _read_config(folder, dims)
    return Facts(dims, _generation(config), tuple(config.get(_LANGUAGES) or ()))


def read_ctranslate2_dims(folder: Path) -> WhisperDims:
    """Read the sizes alone."""
    return _read_header(folder)[1]


# --- the network ---


def _read_header(folder: Path) -> tuple[Binary, WhisperDims]:
    """Read which variables the file stores, and the sizes of the network, with all checks that need no weights."""
    binary = read_binary(folder / BINARY)
    dims, where = _dims(binary), shown(binary.path)
    check_dims(dims, where)
    if sum(n_parameters(dims).values()) > _MOST_PARAMETERS_PER_BYTE * binary.n_bytes:
        raise K2DError(f"{where}: {binary.n_bytes:,} bytes cannot hold its sizes ({dims}); fetch it again")
    _check_variables(binary, variable_shapes(dims))
    return binary, dims


def _check_variables(binary: Binary, expected: Mapping[str, Sequence[int]]) -> None:
    """Check that each variable is a weight of the network, its scale, or an attribute with a value that Whisper has."""
    found, where = binary.variables, shown(binary.path)
    scales = {name + _SCALE for name in expected if name in found and found[name].type.is_quantised}
    attributes = {name for name, variable in found.items() if not variable.shape} - expected.keys() - scales
    weights = {name: variable.shape for name, variable in found.items() if name not in scales | attributes}
    check_shapes(weights, expected, where, f"its {BINARY}")
    _check_types(binary, expected)
    values = {name: binary.numbers(found[name]).item() for name in sorted(attributes - _ANY_VALUE)}
    if odd := [f"{name} is {value:g}" for name, value in values.items() if value not in _VALUES.get(name, (0,))]:
        raise K2DError(f"{where}: {', '.join(odd[:5])}: OpenAI's networks have no such variant; use a plain Whisper")


def _dims(binary: Binary) -> WhisperDims:
    """The sizes of a network, from the shapes of some of its weights."""
    needed = {
        FIRST_CONVOLUTION: 3,
        EMBEDDING: 2,
        **dict.fromkeys(POSITIONS.values(), 2),
        **dict.fromkeys(HEADS.values(), 0),
    }
    found = binary.variables
    if missing := [name for name, rank in needed.items() if name not in found or len(found[name].shape) != rank]:
        raise K2DError(
            f"{shown(binary.path)}: not a Whisper network: {', '.join(missing)} missing, or with another number of "
            "dimensions; use the folder that CTranslate2's converter wrote"
        )
    if fractions := [name for name in HEADS.values() if found[name].type.torch.is_floating_point]:
        raise K2DError(f"{shown(binary.path)}: {', '.join(fractions)}: expected a whole number; fetch the file again")
    width, n_mels, _ = found[FIRST_CONVOLUTION].shape
    n_vocab, text_width = found[EMBEDDING].shape
    heads = {side: int(binary.numbers(found[name]).item()) for side, name in HEADS.items()}
    return WhisperDims(
        n_mels=n_mels,
        n_audio_ctx=found[POSITIONS["encoder"]].shape[0],
        n_audio_state=width,
        n_audio_head=heads["encoder"],
        n_audio_layer=n_layers(found, "encoder"),
        n_vocab=n_vocab,
        n_text_ctx=found[POSITIONS["decoder"]].shape[0],
        n_text_state=text_width,
        n_text_head=heads["decoder"],
        n_text_layer=n_layers(found, "decoder"),
    )


def _check_types(binary: Binary, names: Iterable[str]) -> None:
    """Check that weights are floating-point numbers, or small whole numbers with one scale, or one for each row."""
    faults = []
    for variable in {binary.variables[name].name: binary.variables[name] for name in names}.values():
        scale = _scale(binary, variable)
        if variable.type.name == "int32":
            faults.append(f"{variable.name} holds int32 numbers")
        elif variable.type.is_quantised and (scale is None or not _fits(scale, variable)):
            faults.append(f"{variable.name} holds {variable.type.name} numbers without a matching scale")
    if faults:
        listed = "; ".join(faults[:5]) + ("; …" if len(faults) > 5 else "")
        known = ", ".join(each.name for each in TYPES if each.name != "int32")
        raise K2DError(f"{shown(binary.path)}: {listed}; expected {known}; convert the model again")


def _scale(binary: Binary, variable: Variable) -> Variable | None:
    return binary.variables.get(variable.name + _SCALE)


def _fits(scale: Variable, variable: Variable) -> bool:
    return scale.type.torch.is_floating_point and scale.shape in ((), (1,), variable.shape[:1])


def _numbers(binary: Binary, variable: Variable, part: int = 0, n_parts: int = 1) -> Tensor:
    """A variable or a part of it, in the type of the file, or in fp32 if it has a scale."""
    stored = binary.numbers(variable, part, n_parts)
    scale = _scale(binary, variable) if variable.type.is_quantised else None
    if scale is None:
        return stored
    steps = binary.numbers(scale, part, n_parts) if scale.shape == variable.shape[:1] else binary.numbers(scale)
    return stored.float() / steps.float().view(-1, *(1,) * (stored.ndim - 1))


def _check_tied(binary: Binary) -> None:
    output, embedding = binary.variables[OUTPUT], binary.variables[EMBEDDING]
    if output != embedding and not _numbers(binary, output).equal(_numbers(binary, embedding)):
        raise K2DError(f"{shown(binary.path)}: {OUTPUT} differs from the embedding; use a model in which they are tied")


def _check_key_biases(binary: Binary, dims: WhisperDims) -> None:
    for place in key_biases(dims):
        if _numbers(binary, binary.variables[place.variable], place.part, place.n_parts).any():
            raise K2DError(
                f"{shown(binary.path)}: {place.variable}: found a bias of keys, which OpenAI's networks do not have; "
                "use a plain Whisper"
            )


# --- its rules ---


def _read_config(folder: Path, dims: WhisperDims) -> dict[str, Any]:
    """Read config.json and check its lists of ids. Empty if there is no such file."""
    if not (folder / CONFIG).is_file():
        return {}
    raw = read_json(folder / CONFIG)
    if faults := [
        f"{key}: expected a list of ids from 0 to {dims.n_vocab - 1}, found {repr(raw[key])[:60]}"
        for key in (_NEVER, _NEVER_FIRST, _LANGUAGES)
        if raw.get(key) is not None and not are_ids(raw[key], dims.n_vocab)
    ]:
        raise K2DError(
            f"{shown(folder / CONFIG)}: {'; '.join(faults)}; correct it, or use the file that the converter wrote"
        )
    return raw


def _generation(config: Mapping[str, Any]) -> Generation:
    """The tokens that are never written. These files hold no largest first timestamp and no language."""
    never, never_first = (None if config.get(key) is None else tuple(config[key]) for key in (_NEVER, _NEVER_FIRST))
    return Generation(never, never_first)
