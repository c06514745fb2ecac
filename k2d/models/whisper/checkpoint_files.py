"""Whisper checkpoints in the formats that exist, read into one form: sizes, and weights under OpenAI's names.

OpenAI's `.pt` (read with `weights_only`), a Hugging Face folder (safetensors only), a folder of ours, a published name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from k2d.core import strict_yaml
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.models.weights_file import check_weights, read_torch_file
from k2d.models.whisper.dims import FACE_CONFIG, N_AUDIO_CTX, N_MELS, N_VOCABULARY, WEIGHTS, WhisperDims, shapes
from k2d.models.whisper.huggingface_names import EMBEDDING, OUTPUT, openai_name

RULES, PARAMETERS = "whisper.json", "params.json"
"""Of a folder of ours: what `generation_config.json` said, where the checkpoint had one; numbers of parameters."""
FACE_GENERATION = "generation_config.json"
FACE_WEIGHTS, _FACE_INDEX = "model.safetensors", "model.safetensors.index.json"
_NEVER, _NEVER_FIRST = "suppress_tokens", "begin_suppress_tokens"


@dataclass(frozen=True, slots=True)
class Generation:
    """What a checkpoint says about its decoding; None: as openai-whisper decodes."""

    suppressed: tuple[int, ...] | None = None
    """Ids that are never written."""
    suppressed_first: tuple[int, ...] | None = None
    """Ids that no text begins with."""
    first_time_at_most: int | None = None
    """Largest first timestamp, in steps of the grid."""
    language: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class WhisperWeights:
    """A checkpoint in memory."""

    dims: WhisperDims
    state: Mapping[str, Tensor]
    """Under OpenAI's names, in the dtype of the file."""
    generation: Generation = Generation()


def read_whisper(path: Path) -> WhisperWeights:
    """A `.pt` of OpenAI's, a Hugging Face folder, or a folder of ours; every fault is told with its remedy."""
    if path.is_file():
        return _read_openai(path)
    if (path / WEIGHTS).is_file():
        found = _read_openai(path / WEIGHTS)
        return WhisperWeights(found.dims, found.state, read_rules(path / RULES))
    if (path / FACE_CONFIG).is_file():
        return _read_face(path)
    if path.is_dir():
        raise K2DError(
            f"{shown(path)}: no Whisper model: expected {WEIGHTS} (a folder of this toolkit) or {FACE_CONFIG} and "
            f"{FACE_WEIGHTS} (Hugging Face's)"
        )
    raise K2DError(f"{shown(path)}: there is no such Whisper model; expected a .pt file or a model folder")


def read_dims(path: Path) -> WhisperDims:
    """The sizes alone, also of a model config under conf/models/: no weight is read."""
    file = path / WEIGHTS if path.is_dir() else path
    if file.suffix == ".yaml":
        dims = _config_dims(file)
    elif file.is_file():
        dims, _ = _openai_parts(file, is_mapped=True)
    elif (path / FACE_CONFIG).is_file():
        dims = _face_dims(path / FACE_CONFIG)
    else:
        return read_whisper(path).dims  # which says what is missing
    _check_dims(dims, shown(path))
    return dims


def _check(weights: WhisperWeights, where: str, config: str) -> WhisperWeights:
    _check_dims(weights.dims, where)
    check_weights(weights.state, shapes(weights.dims), where, config)
    return weights


def _check_dims(dims: WhisperDims, where: str) -> None:
    """All that is wrong with the sizes at once."""
    faults = []
    if dims.n_vocab not in N_VOCABULARY:
        known = ", ".join(f"{size} ({what})" for size, what in N_VOCABULARY.items())
        faults.append(
            f"a vocabulary of {dims.n_vocab}, expected {known}: take a model with Whisper's own, without added tokens"
        )
    if dims.n_mels not in N_MELS:
        faults.append(f"{dims.n_mels} mels, expected 80 or 128 (large-v3): take a model on Whisper's own features")
    if dims.n_audio_ctx != N_AUDIO_CTX:
        faults.append(f"{dims.n_audio_ctx} positions of audio, expected {N_AUDIO_CTX}: windows are 30 s")
    if dims.n_audio_state != dims.n_text_state:
        faults.append(f"an encoder of width {dims.n_audio_state} and a decoder of {dims.n_text_state}, expected one")
    for side, width, heads in (
        ("encoder", dims.n_audio_state, dims.n_audio_head),
        ("decoder", dims.n_text_state, dims.n_text_head),
    ):
        if heads < 1 or width % heads:
            faults.append(f"{heads} heads in {side} of width {width}, expected a divisor")
    if faults:
        raise K2DError(f"{where}: {'; '.join(faults)}")


# --- OpenAI's ---


def _read_openai(path: Path) -> WhisperWeights:
    dims, state = _openai_parts(path)
    return _check(WhisperWeights(dims, state), shown(path), "its dims")


def _openai_parts(path: Path, *, is_mapped: bool = False) -> tuple[WhisperDims, dict[str, Tensor]]:
    read, where = read_torch_file(path, is_mapped=is_mapped), shown(path)
    if not isinstance(read, dict) or {"dims", "model_state_dict"} - read.keys():
        raise K2DError(
            f"{where}: not a checkpoint of openai-whisper: expected `dims` and `model_state_dict` in it; "
            "name a Hugging Face folder as a whole, not the file in it"
        )
    return _openai_dims(read["dims"], where), read["model_state_dict"]


def _openai_dims(raw: object, where: str) -> WhisperDims:
    names = [each.name for each in fields(WhisperDims)]
    if not isinstance(raw, dict) or sorted(raw) != sorted(names) or not all(type(n) is int for n in raw.values()):
        raise K2DError(f"{where}: its dims are not Whisper's: expected whole numbers {', '.join(names)}; found {raw!r}")
    return WhisperDims(**raw)


def _config_dims(path: Path) -> WhisperDims:
    document = strict_yaml.read(path, shown(path))
    if document.faults:
        raise K2DError("\n".join(map(str, document.faults)))
    return _openai_dims(document.data, shown(path))


def read_rules(path: Path) -> Generation:
    """What a folder of ours keeps of a checkpoint's rules."""
    if not path.is_file():
        return Generation()
    raw = _read_json(path)
    known = {each.name for each in fields(Generation)}
    if unknown := sorted(raw.keys() - known):
        raise K2DError(f"{shown(path)}: unknown {', '.join(unknown)}; expected {', '.join(sorted(known))}")
    said: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    return Generation(**said)


# --- Hugging Face's ---


def _read_face(folder: Path) -> WhisperWeights:
    dims = _face_dims(folder / FACE_CONFIG)
    _check_dims(dims, shown(folder / FACE_CONFIG))  # before gigabytes are read
    generation = _face_generation(folder, dims)
    state = _renamed(_face_state(folder), folder)
    return _check(WhisperWeights(dims, state, generation), shown(folder), f"its {FACE_CONFIG}")


_FACE_DIMS = {
    "n_mels": "num_mel_bins",
    "n_audio_ctx": "max_source_positions",
    "n_audio_state": "d_model",
    "n_audio_head": "encoder_attention_heads",
    "n_audio_layer": "encoder_layers",
    "n_vocab": "vocab_size",
    "n_text_ctx": "max_target_positions",
    "n_text_state": "d_model",
    "n_text_head": "decoder_attention_heads",
    "n_text_layer": "decoder_layers",
}


def _face_dims(path: Path) -> WhisperDims:
    config, where = _read_json(path), shown(path)
    if config.get("model_type") != "whisper":
        raise K2DError(f"{where}: model_type is {config.get('model_type')!r}; expected 'whisper'")
    if missing := [key for key in _FACE_DIMS.values() if type(config.get(key)) is not int]:
        raise K2DError(f"{where}: {', '.join(dict.fromkeys(missing))}: expected whole numbers; take a whole config")
    wide = 4 * config["d_model"]
    fixed = {
        "encoder_ffn_dim": wide,
        "decoder_ffn_dim": wide,
        "activation_function": "gelu",
        "scale_embedding": False,
        "tie_word_embeddings": True,
    }
    if odd := [
        f"{key} {config[key]!r} instead of {value!r}"
        for key, value in fixed.items()
        if key in config and config[key] != value
    ]:
        raise K2DError(f"{where}: {', '.join(odd)}: OpenAI's networks have no such variant; take a plain Whisper model")
    return WhisperDims(**{ours: config[theirs] for ours, theirs in _FACE_DIMS.items()})


def _face_state(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder's safetensors, be it one file or several with an index."""
    if (folder / FACE_WEIGHTS).is_file():
        return _read_safetensors(folder / FACE_WEIGHTS)
    if not (folder / _FACE_INDEX).is_file():
        others = ", ".join(sorted(path.name for path in folder.glob("*.bin"))) or "no weights"
        raise K2DError(
            f"{shown(folder)}: expected {FACE_WEIGHTS} or {_FACE_INDEX}, found {others}; only safetensors are read, "
            "as others can run code: save the model anew with transformers (save_pretrained), which writes them"
        )
    places = _read_json(folder / _FACE_INDEX).get("weight_map")
    names = sorted(set(places.values())) if isinstance(places, dict) else []
    if not names or any(type(name) is not str or Path(name).name != name for name in names):
        raise K2DError(f"{shown(folder / _FACE_INDEX)}: weight_map: expected the name of a file beside it per weight")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise K2DError(f"{shown(folder)}: {', '.join(missing)} of {_FACE_INDEX} not there; copy the whole folder")
    return {key: tensor for name in names for key, tensor in _read_safetensors(folder / name).items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
    except (SafetensorError, OSError) as error:
        reason = "truncated, or not written by safetensors; copy or fetch it again"
        raise K2DError(f"{shown(path)}: cannot be read as safetensors: {reason} ({error})") from error


def _renamed(state: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Under OpenAI's names, as far as they are known; the output layer must be the embedding."""
    output, embedding = state.pop(OUTPUT, None), state.get(EMBEDDING)
    if output is not None and embedding is not None and not output.equal(embedding):
        raise K2DError(f"{shown(folder)}: {OUTPUT} is not the embedding once more; take a model with both tied")
    return {openai_name(name) or name: tensor for name, tensor in state.items()}


def _face_generation(folder: Path, dims: WhisperDims) -> Generation:
    """generation_config.json, of which only what openai-whisper's rules know has a meaning here. An id beyond the
    vocabulary would end a GPU's work without a word of why."""
    path = folder / FACE_GENERATION
    if not path.is_file():
        return Generation()
    raw = _read_json(path)
    language, latest = raw.get("language"), raw.get("max_initial_timestamp_index")
    faults = [
        f"{key}: expected a list of ids from 0 to {dims.n_vocab - 1}, found {raw[key]!r}"
        for key in (_NEVER, _NEVER_FIRST)
        if raw.get(key) is not None and not _are_ids(raw[key], dims.n_vocab)
    ]
    if latest is not None and (type(latest) is not int or latest < 0):
        faults.append(f"max_initial_timestamp_index: expected a whole number of steps, found {latest!r}")
    if faults:
        raise K2DError(f"{shown(path)}: {'; '.join(faults)}; mend it, or remove the file to decode as openai-whisper")
    never, never_first = (None if raw.get(key) is None else tuple(raw[key]) for key in (_NEVER, _NEVER_FIRST))
    return Generation(never, never_first, latest, language.strip("<|>") if isinstance(language, str) else None)


def _are_ids(found: object, n_vocab: int) -> bool:
    return isinstance(found, list) and all(type(each) is int and 0 <= each < n_vocab for each in found)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise K2DError(f"{shown(path)}: not a JSON file: {error}; copy or fetch it again") from error
    if not isinstance(read, dict):
        raise K2DError(f"{shown(path)}: expected a JSON object; copy or fetch it again")
    return read
