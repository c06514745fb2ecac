"""Export a Whisper network as a Hugging Face folder: weights, config, generation config, features and tokenizer.

Of Hugging Face's libraries, only safetensors is needed to write it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError
from k2d.core.system_errors import reporting_full_disk
from k2d.export.equivalence import Agreement, agreement
from k2d.export.huggingface_tokenizer import END, START, Vocabulary, write_tokenizer
from k2d.export.request import ExportRequest, quietly
from k2d.models.parity_check import Probe
from k2d.models.whisper.checkpoint import WhisperWeights
from k2d.models.whisper.checkpoint_files import HUGGINGFACE_GENERATION, HUGGINGFACE_WEIGHTS, read_whisper
from k2d.models.whisper.codec import WhisperCodec
from k2d.models.whisper.dims import HUGGINGFACE_CONFIG, N_SAMPLES, RATE_HZ, WhisperDims
from k2d.models.whisper.huggingface_names import to_hugging_face
from k2d.models.whisper.library import language_code, vocabulary
from k2d.models.whisper.timestamp_rules import WhisperRules

FEATURES = "preprocessor_config.json"

_HOP, _N_FFT = 160, 400
_TASKS = ("translate", "transcribe")


def write(model: Path, request: ExportRequest, folder: Path) -> None:
    """Write the folder. Weights are float32, the precision of training."""
    weights = read_whisper(model)
    words = Vocabulary.of(vocabulary(weights.dims))
    tensors = {name: tensor.float().contiguous() for name, tensor in to_hugging_face(weights.state).items()}
    with reporting_full_disk(folder / HUGGINGFACE_WEIGHTS):
        save_file(tensors, folder / HUGGINGFACE_WEIGHTS, metadata={"format": "pt"})
    (folder / HUGGINGFACE_WEIGHTS).chmod(0o644)  # safetensors makes it readable for its owner only
    _write(folder / HUGGINGFACE_GENERATION, _generation(weights, words, request))
    _write(folder / FEATURES, _features(weights.dims))
    write_tokenizer(folder, words)
    _write(folder / HUGGINGFACE_CONFIG, _config(weights.dims, words))


def _config(dims: WhisperDims, words: Vocabulary) -> dict[str, Any]:
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "dtype": "float32",
        "vocab_size": dims.n_vocab,
        "num_mel_bins": dims.n_mels,
        "d_model": dims.n_audio_state,
        "encoder_layers": dims.n_audio_layer,
        "encoder_attention_heads": dims.n_audio_head,
        "encoder_ffn_dim": 4 * dims.n_audio_state,
        "decoder_layers": dims.n_text_layer,
        "decoder_attention_heads": dims.n_text_head,
        "decoder_ffn_dim": 4 * dims.n_text_state,
        "max_source_positions": dims.n_audio_ctx,
        "max_target_positions": dims.n_text_ctx,
        "activation_function": "gelu",
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        "use_cache": True,
        "dropout": 0.0,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        **_ends(words),
    }


def _ends(words: Vocabulary) -> dict[str, int]:
    end, start = words.specials[END], words.specials[START]
    return {"bos_token_id": end, "eos_token_id": end, "pad_token_id": end, "decoder_start_token_id": start}


def _generation(weights: WhisperWeights, words: Vocabulary, request: ExportRequest) -> dict[str, Any]:
    """The generation config: the checkpoint's own, or openai-whisper's rules if it has none."""
    dims, codec = weights.dims, WhisperCodec(weights.dims)
    rules = WhisperRules.of(codec, weights.generation)
    last_half = range(dims.n_text_layer // 2, dims.n_text_layer)
    said = {
        **_ends(words),
        "suppress_tokens": list(rules.suppressed),
        "begin_suppress_tokens": list(rules.suppressed_first),
        "max_initial_timestamp_index": rules.first_time_at_most,
        "no_timestamps_token_id": rules.no_times,
        "prev_sot_token_id": words.specials["<|startofprev|>"],
        "alignment_heads": [[layer, head] for layer in last_half for head in range(dims.n_text_head)],
        "max_length": dims.n_text_ctx,
        "return_timestamps": False,
        "is_multilingual": dims.is_multilingual,
    }
    told = request.languages or ((weights.generation.language,) if weights.generation.language else ())
    return {**said, **_languages(codec, words, told)} if dims.is_multilingual else said


def _languages(codec: WhisperCodec, words: Vocabulary, told: Sequence[str]) -> dict[str, Any]:
    """The languages. Hugging Face's config cannot have a mean of several ones; then the model guesses the language."""
    one = {"language": language_code(told[0])} if len(told) == 1 else {}
    return {
        # In the order of the ids: the library's own order differs from one process to the next.
        "lang_to_id": {f"<|{name}|>": token for name, token in sorted(codec.language_ids.items(), key=itemgetter(1))},
        "task": "transcribe",
        "task_to_id": {task: words.specials[f"<|{task}|>"] for task in _TASKS},
        **one,
    }


def _features(dims: WhisperDims) -> dict[str, Any]:
    return {
        "feature_extractor_type": "WhisperFeatureExtractor",
        "processor_class": "WhisperProcessor",
        "feature_size": dims.n_mels,
        "sampling_rate": RATE_HZ,
        "hop_length": _HOP,
        "n_fft": _N_FFT,
        "chunk_length": N_SAMPLES // RATE_HZ,
        "n_samples": N_SAMPLES,
        "nb_max_frames": N_SAMPLES // _HOP,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
    }


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def loaded_back(folder: Path, request: ExportRequest, probe: Probe, ours: Tensor) -> Agreement:
    """Load the folder in transformers and compare the logits."""
    with quietly(), torch.inference_mode():
        logits_BLV = _their_logits(folder, request, probe)
    return agreement("transformers", ours, logits_BLV)


def _their_logits(folder: Path, request: ExportRequest, probe: Probe) -> Tensor:
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    try:
        processor = WhisperProcessor.from_pretrained(folder, local_files_only=True)
        network: Any = WhisperForConditionalGeneration.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # any error of its readers
        raise K2DError(f"{request.name}: transformers cannot load it: {type(error).__name__}: {error}") from error
    samples = probe.speech_BN.numpy()
    features = processor(list(samples), sampling_rate=RATE_HZ, return_tensors="pt").input_features
    logits_BLV: Tensor = network.eval()(input_features=features, decoder_input_ids=probe.tokens_BL).logits
    return logits_BLV
