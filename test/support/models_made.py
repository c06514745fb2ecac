"""Tiny ESPnet S2T models with random weights, and the vocabulary they share."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from k2d.models.codec import Window
from k2d.models.espnet_s2t.codec import S2TCodec
from k2d.models.espnet_s2t.pieces import pieces_of, train_pieces
from k2d.models.espnet_s2t.vocabulary import layout_of, preprocessor_conf, special_symbols, token_list

MINI = Window(10.0, 16000, 0.1)
OWSM = Window(30.0, 16000, 0.02)

TEXTS = [
    "我們 today 去 park 玩",
    "hello world 你好",
    "the plan 很 smart 你 know",
    "去玩 today hello 我 like music",
    "你 know the world 很 park",
]


def made_vocabulary(window: Window = MINI) -> tuple[list[str], bytes]:
    """Tokens and sentencepiece model."""
    model = _trained_pieces(window)
    return token_list(pieces_of(model), window), model


@cache
def _trained_pieces(window: Window) -> bytes:
    symbols = special_symbols(window)
    return train_pieces(TEXTS * 4, symbols, vocab_size=len(symbols) + 256 + 60, model_type="bpe")


def made_codec(window: Window = MINI, language: str | None = "zho") -> S2TCodec:
    tokens, model = made_vocabulary(window)
    return S2TCodec(tokens, model, layout_of({"preprocessor_conf": preprocessor_conf(window)}), language)


def made_config(window: Window = MINI, **decoder: Any) -> dict[str, Any]:
    """A training config in ESPnet's format that leaves its defaults out."""
    return {
        "frontend_conf": {"n_fft": 512, "hop_length": 320, "n_mels": 20},
        "specaug": "specaug",
        "specaug_conf": {"apply_time_warp": False, "freq_mask_width_range": [0, 5], "time_mask_width_range": [0, 20]},
        "encoder": "e_branchformer",
        "encoder_conf": {
            "output_size": 16,
            "attention_heads": 2,
            "num_blocks": 2,
            "linear_units": 32,
            "cgmlp_linear_units": 32,
            "cgmlp_conv_kernel": 7,
            "merge_conv_kernel": 3,
            "input_layer": "conv1d3",
            "use_ffn": True,
            "macaron_ffn": True,
        },
        "decoder": "transformer",
        "decoder_conf": {"attention_heads": 2, "linear_units": 32, "num_blocks": 3, **decoder},
        "model_conf": {"ctc_weight": 0.3},
        "preprocessor_conf": preprocessor_conf(window),
    }


def made_recogniser(folder: Path, window: Window = MINI, *, seed: int = 0, **decoder: Any) -> Any:
    """A recogniser of that config, with weights so large that its text depends on the audio."""
    import torch

    from k2d.models.espnet_s2t.loading import new_s2t

    tokens, model = made_vocabulary(window)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pieces.model").write_bytes(model)
    made = new_s2t(made_config(window, **decoder), tokens, folder / "pieces.model", seed=seed)
    made.codec.default_language = "zho"
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.network.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
            else:
                parameter.mul_(1.5)
    return made
