"""A folder of CTranslate2 (as faster-whisper takes it) as a checkpoint: sizes, weights under OpenAI's names, rules.

`model.bin` holds the network, `vocabulary.json` or `vocabulary.txt` its tokens, `config.json` what is never written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

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
"""A weight is a byte at least. Aliases could name a small one often enough to fill any memory."""
_SCALE = "_scale"

_ANYTHING = {
    *HEADS.values(),
    *("decoder/alignment_heads", "decoder/alignment_layer"),  # of another way to times of words
    *("decoder/alibi_use_positive_positions", "decoder/scale_alibi"),  # of a switch that is off
}
_SWITCHES = {"decoder/pre_norm": (1,), "decoder/activation": (1, 3)}
"""Both numbers are GELU: early converters knew no other than its approximation, which Whisper was not trained with.
Every other attribute switches something on that no Whisper has, and must be 0."""

log = logging.getLogger("k2d")


def read_ctranslate2(folder: Path) -> WhisperWeights:
    """The whole checkpoint; what is wrong with any of its files is told with its remedy."""
    binary, dims = _read_header(folder)
    check_vocabulary(folder, dims)
    generation = _read_generation(folder, dims)
    state = {name: _weight(binary, name) for name in shapes(dims)}
    _check_tied(binary)
    _check_key_biases(binary, dims)
    weights = checked(WhisperWeights(dims, state, generation), shown(binary.path), f"its {BINARY}")
    if inexact := _quantised_types(binary):
        numbers = " and ".join(inexact)
        log.warning(
            "%s: its weights are %s numbers with scales, which are not exactly those that were trained; take the model "
            "in fp16 or fp32 where there is one",
            shown(folder),
            numbers,
        )
    return weights


def read_ctranslate2_facts(folder: Path) -> tuple[WhisperDims, Generation]:
    """Sizes and rules, with all checks that need no weight."""
    _, dims = _read_header(folder)
    check_vocabulary(folder, dims)
    return dims, _read_generation(folder, dims)


def read_ctranslate2_dims(folder: Path) -> WhisperDims:
    """The sizes alone."""
    return _read_header(folder)[1]


# --- the network ---


def _read_header(folder: Path) -> tuple[Binary, WhisperDims]:
    """Which variables the file stores, and the sizes that they are of, checked in every way that needs no weight."""
    binary = read_binary(folder / BINARY)
    where = shown(binary.path)
    dims = _dims(binary)
    check_dims(dims, where)
    if sum(n_parameters(dims).values()) > _MOST_PARAMETERS_PER_BYTE * binary.n_bytes:
        raise K2DError(f"{where}: {binary.n_bytes:,} bytes cannot hold its sizes ({dims}); fetch it again")
    expected = variable_shapes(dims)
    others = {name for name, variable in binary.variables.items() if not variable.shape} - expected.keys()
    weights = {name: variable.shape for name, variable in binary.variables.items() if name not in others}
    scales = {name + _SCALE for name in expected if name in weights and binary.variables[name].type.is_quantised}
    check_shapes({n: shape for n, shape in weights.items() if n not in scales}, expected, where, f"its {BINARY}")
    _check_types(binary, expected)
    _check_attributes(binary, others - scales)
    return binary, dims


def _dims(binary: Binary) -> WhisperDims:
    """The sizes of a network by the shapes of some of its weights."""
    needed = {
        FIRST_CONVOLUTION: 3,
        EMBEDDING: 2,
        **dict.fromkeys(POSITIONS.values(), 2),
        **dict.fromkeys(HEADS.values(), 0),
    }
    found = binary.variables
    if missing := [name for name, rank in needed.items() if name not in found or len(found[name].shape) != rank]:
        raise K2DError(
            f"{shown(binary.path)}: not a Whisper network: {', '.join(missing)} not there, or of another number of "
            "dimensions; take the folder that CTranslate2's converter wrote"
        )
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
    """Weights are floating-point numbers, or small whole numbers with a scale: one, or one for each row."""
    faults = []
    for variable in {binary.variables[name].name: binary.variables[name] for name in names}.values():
        scale = _scale(binary, variable)
        if variable.type.name == "int32":
            faults.append(f"{variable.name} holds int32 numbers")
        elif variable.type.is_quantised and (scale is None or not _fits(scale, variable)):
            faults.append(f"{variable.name} holds {variable.type.name} numbers without a scale that fits")
    if faults:
        listed = "; ".join(faults[:5]) + ("; …" if len(faults) > 5 else "")
        known = ", ".join(each.name for each in TYPES if each.name != "int32")
        raise K2DError(f"{shown(binary.path)}: {listed}; expected {known}; convert the model anew")


def _scale(binary: Binary, variable: Variable) -> Variable | None:
    return binary.variables.get(variable.name + _SCALE)


def _fits(scale: Variable, variable: Variable) -> bool:
    return scale.type.torch.is_floating_point and scale.shape in ((), (1,), variable.shape[:1])


def _check_attributes(binary: Binary, names: set[str]) -> None:
    found = {name: binary.numbers(binary.variables[name]).item() for name in sorted(names - _ANYTHING)}
    if odd := [f"{name} is {value:g}" for name, value in found.items() if value not in _SWITCHES.get(name, (0,))]:
        raise K2DError(
            f"{shown(binary.path)}: {', '.join(odd[:5])}: OpenAI's networks have no such variant; take a plain Whisper"
        )


def _weight(binary: Binary, name: str) -> Tensor:
    """A weight by OpenAI's name."""
    place = place_of(name)
    return _numbers(binary, binary.variables[place.variable], place.part, place.n_parts)


def _numbers(binary: Binary, variable: Variable, part: int = 0, n_parts: int = 1) -> Tensor:
    """A variable or a part of it, in the numbers of the file, or in fp32 if those have a scale."""
    stored = binary.numbers(variable, part, n_parts)
    scale = _scale(binary, variable) if variable.type.is_quantised else None
    if scale is None:
        return stored
    steps = binary.numbers(scale, part, n_parts) if scale.shape == variable.shape[:1] else binary.numbers(scale)
    return stored.float() / steps.float().view(-1, *(1,) * (stored.ndim - 1))


def _check_tied(binary: Binary) -> None:
    output, embedding = binary.variables[OUTPUT], binary.variables[EMBEDDING]
    if output != embedding and not _numbers(binary, output).equal(_numbers(binary, embedding)):
        raise K2DError(f"{shown(binary.path)}: {OUTPUT} is not the embedding once more; take a model with both tied")


def _check_key_biases(binary: Binary, dims: WhisperDims) -> None:
    for place in key_biases(dims):
        if _numbers(binary, binary.variables[place.variable], place.part, place.n_parts).any():
            raise K2DError(
                f"{shown(binary.path)}: {place.variable}: keys have a bias, and OpenAI's networks have none there; "
                "take a plain Whisper"
            )


def _quantised_types(binary: Binary) -> list[str]:
    return sorted({each.type.name for each in binary.variables.values() if each.shape and each.type.is_quantised})


# --- its rules ---


def _read_generation(folder: Path, dims: WhisperDims) -> Generation:
    """What is never written; times and language are not in these files."""
    if not (folder / CONFIG).is_file():
        return Generation()
    raw = read_json(folder / CONFIG)
    if faults := [
        f"{key}: expected a list of ids from 0 to {dims.n_vocab - 1}, found {repr(raw[key])[:60]}"
        for key in (_NEVER, _NEVER_FIRST, _LANGUAGES)
        if raw.get(key) is not None and not are_ids(raw[key], dims.n_vocab)
    ]:
        raise K2DError(f"{shown(folder / CONFIG)}: {'; '.join(faults)}; correct it, or take the file of the converter")
    never, never_first = (None if raw.get(key) is None else tuple(raw[key]) for key in (_NEVER, _NEVER_FIRST))
    return Generation(never, never_first)
