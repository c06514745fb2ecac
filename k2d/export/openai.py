"""A Whisper network as OpenAI's checkpoint, which `whisper.load_model` reads."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from k2d.export.agreement import Agreement, agreement
from k2d.export.huggingface_tokenizer import Vocabulary
from k2d.export.wanted import Wanted
from k2d.models.trial import Trial
from k2d.models.whisper_dims import WhisperDims
from k2d.models.whisper_loading import read_whisper


def write(model: Path, wanted: Wanted, folder: Path) -> None:
    """Write `<name>.pt`."""
    weights = read_whisper(model)
    state = {name: tensor.float() for name, tensor in weights.state.items()}
    torch.save({"dims": weights.dims.as_dict(), "model_state_dict": state}, checkpoint(folder, wanted.name))


def checkpoint(folder: Path, name: str) -> Path:
    return folder / f"{name}.pt"


def loaded_back(folder: Path, wanted: Wanted, trial: Trial, ours: Tensor) -> Agreement:
    """Load the file as openai-whisper does, and compare."""
    import whisper

    with torch.inference_mode():
        network = whisper.load_model(str(checkpoint(folder, wanted.name)), device="cpu").eval()
        mel_BMT = whisper.log_mel_spectrogram(trial.speech_BN, n_mels=network.dims.n_mels)
        logits_BLV: Tensor = network(mel_BMT, trial.tokens_BL)
    return agreement("openai-whisper", ours, logits_BLV)


def vocabulary_of(dims: WhisperDims) -> Vocabulary:
    """The vocabulary in the openai-whisper package, and what its decoding suppresses."""
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(dims.is_multilingual, num_languages=dims.n_languages)
    never = ("transcribe", "translate", "startoftranscript", "startofprev", "startoflm", "nospeech")
    return Vocabulary(
        ranks={tokenizer.encoding.decode_single_token_bytes(rank): rank for rank in range(tokenizer.eot)},
        specials=tokenizer.special_tokens,
        languages=tuple(tokenizer.all_language_codes),
        suppressed=tuple(
            sorted({*tokenizer.non_speech_tokens, *(tokenizer.special_tokens[f"<|{name}|>"] for name in never)})
        ),
        suppressed_first=(*tokenizer.encode(" "), tokenizer.eot),
    )
