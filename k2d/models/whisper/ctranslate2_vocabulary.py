"""Compares the vocabulary in a CTranslate2 folder with Whisper's own tokens."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.models.visible_bytes import letters
from k2d.models.whisper.dims import WhisperDims

NAMES = ("vocabulary.json", "vocabulary.txt")
"""Names of the file: the present one, and the one that early converters wrote."""
_LARGEST = 2**24
"""Bytes. Whisper's vocabulary has about a million."""
_SAME = {"<|nocaptions|>": "<|nospeech|>"}
"""Former names of tokens."""


def check_vocabulary(folder: Path, dims: WhisperDims) -> None:
    """Refuse a folder whose tokens are not those of a Whisper of this size.

    Timestamps are not compared: the first converters wrote them in another form.
    """
    path = next((folder / name for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        raise K2DError(f"{shown(folder)}: expected {' or '.join(NAMES)} in it, found none; copy the whole folder")
    found, expected = _read(path), _expected(dims)
    if len(found) != dims.n_vocab:
        raise K2DError(
            f"{shown(path)}: found {len(found):,} tokens, expected {dims.n_vocab:,} as in the network; use the files "
            "of one model"
        )
    if found[: len(expected)] == expected:
        return
    for number, (token, own) in enumerate(zip(found, expected, strict=False)):
        if _SAME.get(token, token) != own:
            raise K2DError(
                f"{shown(path)}: token {number} is {token[:40]!r}, expected {own!r}; use a model with Whisper's own "
                "tokens"
            )


def _read(path: Path) -> list[str]:
    if (n_bytes := path.stat().st_size) > _LARGEST:
        raise K2DError(f"{shown(path)}: {n_bytes:,} bytes, expected about a million; copy or fetch it again")
    try:
        text = path.read_bytes().decode()
        read = json.loads(text) if path.suffix == ".json" else text.removesuffix("\n").split("\n")
    except (OSError, ValueError, RecursionError) as error:
        raise K2DError(f"{shown(path)}: cannot be read as a list of tokens ({error}); fetch it again") from error
    if not isinstance(read, list) or not all(isinstance(token, str) for token in read):
        raise K2DError(f"{shown(path)}: expected a list of tokens; copy or fetch it again")
    return read


@lru_cache(maxsize=3)
def _expected(dims: WhisperDims) -> list[str]:
    """The tokens before the timestamps, as Hugging Face writes them."""
    from k2d.models.whisper.library import vocabulary  # imports openai-whisper

    tokenizer, visible = vocabulary(dims), letters()
    words = [tokenizer.encoding.decode_single_token_bytes(number) for number in range(tokenizer.eot)]
    names = {number: name for name, number in tokenizer.special_tokens.items()}
    return [
        *("".join(visible[byte] for byte in word) for word in words),
        *(names[number] for number in range(tokenizer.eot, tokenizer.timestamp_begin)),
    ]
