"""Reads Whisper checkpoints of all formats into one form: sizes, and weights under OpenAI's names.

The formats are OpenAI's `.pt` (read with `weights_only`), a Hugging Face folder (safetensors only), a CTranslate2
folder, and a folder that this toolkit has saved.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from k2d.core import strict_yaml
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.models.weights_file import read_torch_file
from k2d.models.whisper.checkpoint import Generation, WhisperWeights, are_ids, check_dims, checked, read_json
from k2d.models.whisper.ctranslate2_files import read_ctranslate2, read_ctranslate2_dims
from k2d.models.whisper.dims import BINARY, HUGGINGFACE_CONFIG, WEIGHTS, WhisperDims
from k2d.models.whisper.huggingface_names import EMBEDDING, OUTPUT, openai_name

RULES, PARAMETERS = "whisper.json", "params.json"
"""Files in a saved folder: the settings of `generation_config.json`, if there was one, and the parameter counts."""
HUGGINGFACE_GENERATION = "generation_config.json"
HUGGINGFACE_WEIGHTS, _HUGGINGFACE_INDEX = "model.safetensors", "model.safetensors.index.json"
_NEVER, _NEVER_FIRST = "suppress_tokens", "begin_suppress_tokens"


def read_whisper(path: Path) -> WhisperWeights:
    """Read a checkpoint in any of the formats. Each error names a remedy."""
    if path.name == BINARY and path.is_file():
        raise K2DError(f"{shown(path)}: name the folder of CTranslate2 as a whole, not the file in it")
    if path.is_file():
        return _read_openai(path)
    if (path / WEIGHTS).is_file():
        found = _read_openai(path / WEIGHTS)
        return WhisperWeights(found.dims, found.state, read_rules(path / RULES))
    if (path / BINARY).is_file():
        return read_ctranslate2(path)
    if (path / HUGGINGFACE_CONFIG).is_file():
        return _read_huggingface(path)
    if path.is_dir():
        raise K2DError(
            f"{shown(path)}: no Whisper model: expected {WEIGHTS} (a folder of this toolkit), {HUGGINGFACE_CONFIG} and "
            f"{HUGGINGFACE_WEIGHTS} (Hugging Face's), or {BINARY} and a vocabulary (CTranslate2's)"
        )
    raise K2DError(f"{shown(path)}: there is no such Whisper model; expected a .pt file or a model folder")


def read_dims(path: Path) -> WhisperDims:
    """Read the sizes alone, also from a model config under conf/models/. No weights are read."""
    file = path / WEIGHTS if path.is_dir() else path
    if file.suffix == ".yaml":
        dims = _config_dims(file)
    elif file.is_file() and file.name != BINARY:
        dims, _ = _openai_parts(file, is_mapped=True)
    elif (path / BINARY).is_file():
        dims = read_ctranslate2_dims(path)
    elif (path / HUGGINGFACE_CONFIG).is_file():
        dims = _huggingface_dims(path / HUGGINGFACE_CONFIG)
    else:
        return read_whisper(path).dims  # raises an error that names what is missing
    check_dims(dims, shown(path))
    return dims


# --- OpenAI's format ---


def _read_openai(path: Path) -> WhisperWeights:
    dims, state = _openai_parts(path)
    return checked(WhisperWeights(dims, state), shown(path), "its dims")


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
    """Read a checkpoint's settings for decoding from a saved folder."""
    if not path.is_file():
        return Generation()
    raw = read_json(path)
    known = {each.name for each in fields(Generation)}
    if unknown := sorted(raw.keys() - known):
        raise K2DError(f"{shown(path)}: unknown {', '.join(unknown)}; expected {', '.join(sorted(known))}")
    stored: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    return Generation(**stored)


# --- Hugging Face's format ---


def _read_huggingface(folder: Path) -> WhisperWeights:
    dims = _huggingface_dims(folder / HUGGINGFACE_CONFIG)
    check_dims(dims, shown(folder / HUGGINGFACE_CONFIG))  # before gigabytes are read
    generation = _huggingface_generation(folder, dims)
    state = _renamed(_huggingface_state(folder), folder)
    return checked(WhisperWeights(dims, state, generation), shown(folder), f"its {HUGGINGFACE_CONFIG}")


_HUGGINGFACE_DIMS = {
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


def _huggingface_dims(path: Path) -> WhisperDims:
    config, where = read_json(path), shown(path)
    if config.get("model_type") != "whisper":
        raise K2DError(f"{where}: model_type is {config.get('model_type')!r}; expected 'whisper'")
    if missing := [key for key in _HUGGINGFACE_DIMS.values() if type(config.get(key)) is not int]:
        raise K2DError(f"{where}: {', '.join(dict.fromkeys(missing))}: expected whole numbers; use a complete config")
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
        raise K2DError(f"{where}: {', '.join(odd)}: OpenAI's networks have no such variant; use a plain Whisper model")
    return WhisperDims(**{ours: config[theirs] for ours, theirs in _HUGGINGFACE_DIMS.items()})


def _huggingface_state(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of the folder: from one file of safetensors, or from several with an index."""
    if (folder / HUGGINGFACE_WEIGHTS).is_file():
        return _read_safetensors(folder / HUGGINGFACE_WEIGHTS)
    if not (folder / _HUGGINGFACE_INDEX).is_file():
        others = ", ".join(sorted(path.name for path in folder.glob("*.bin"))) or "no weights"
        raise K2DError(
            f"{shown(folder)}: expected {HUGGINGFACE_WEIGHTS} or {_HUGGINGFACE_INDEX}, found {others}; only "
            "safetensors are read, because other files can run code: save the model again with transformers "
            "(save_pretrained), which writes safetensors"
        )
    index = folder / _HUGGINGFACE_INDEX
    places = read_json(index).get("weight_map")
    names = sorted(set(places.values())) if isinstance(places, dict) else []
    if not names or any(type(name) is not str or Path(name).name != name for name in names):
        raise K2DError(f"{shown(index)}: weight_map: expected the name of a file beside it for each weight")
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise K2DError(f"{shown(folder)}: {', '.join(missing)} of {index.name} not found; copy the whole folder")
    return {key: tensor for name in names for key, tensor in _read_safetensors(folder / name).items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        reason = "truncated, or not written by safetensors; copy or fetch it again"
        raise K2DError(f"{shown(path)}: cannot be read as safetensors: {reason} ({error})") from error


def _renamed(state: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """Give weights OpenAI's names, where they have one. The output layer must equal the embedding."""
    output, embedding = state.pop(OUTPUT, None), state.get(EMBEDDING)
    if output is not None and embedding is not None and not output.equal(embedding):
        raise K2DError(f"{shown(folder)}: {OUTPUT} differs from the embedding; use a model in which they are tied")
    return {openai_name(name) or name: tensor for name, tensor in state.items()}


def _huggingface_generation(folder: Path, dims: WhisperDims) -> Generation:
    """Read those fields of generation_config.json that openai-whisper's rules have as well.

    Ids outside the vocabulary are refused here. On a GPU they would cause an error that does not name them.
    """
    path = folder / HUGGINGFACE_GENERATION
    if not path.is_file():
        return Generation()
    raw = read_json(path)
    language, latest = raw.get("language"), raw.get("max_initial_timestamp_index")
    faults = [
        f"{key}: expected a list of ids from 0 to {dims.n_vocab - 1}, found {raw[key]!r}"
        for key in (_NEVER, _NEVER_FIRST)
        if raw.get(key) is not None and not are_ids(raw[key], dims.n_vocab)
    ]
    if latest is not None and (type(latest) is not int or latest < 0):
        faults.append(f"max_initial_timestamp_index: expected a whole number of steps, found {latest!r}")
    if faults:
        raise K2DError(
            f"{shown(path)}: {'; '.join(faults)}; correct it, or remove the file to decode as openai-whisper does"
        )
    never, never_first = (None if raw.get(key) is None else tuple(raw[key]) for key in (_NEVER, _NEVER_FIRST))
    return Generation(never, never_first, latest, language.strip("<|>") if isinstance(language, str) else None)
