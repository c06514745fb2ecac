"""Write Whisper's vocabulary as Hugging Face's tokenizer files, made from the ranks without any download."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text
from k2d.export.byte_pairs import merges, vocabulary

END, START, NO_TIMES = "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"

_PIECES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Byte pairs by their ranks, and special tokens by their ids."""

    ranks: Mapping[bytes, int]
    specials: Mapping[str, int]

    @classmethod
    def of(cls, tokenizer: Any) -> Vocabulary:
        """The vocabulary of openai-whisper's tokenizer."""
        pairs = ((tokenizer.encoding.decode_single_token_bytes(rank), rank) for rank in range(tokenizer.eot))
        return cls(dict(pairs), tokenizer.special_tokens)

    @property
    def first_time_id(self) -> int:
        return self.specials[NO_TIMES] + 1

    def in_order(self) -> list[tuple[str, int]]:
        return sorted(self.specials.items(), key=lambda item: item[1])


def write_tokenizer(folder: Path, words: Vocabulary) -> None:
    """Write all files that the versions of these libraries look for."""
    ids, pairs = vocabulary(words.ranks), merges(words.ranks)
    _write(folder / "tokenizer.json", _whole(ids, pairs, words))
    _write(folder / "tokenizer_config.json", _config(words))
    _write(folder / "special_tokens_map.json", _special_tokens(words))
    _write(folder / "vocab.json", ids)
    _write(folder / "added_tokens.json", dict(words.in_order()))
    lines = "".join(f"{left} {right}\n" for left, right in pairs)
    write_text(folder / "merges.txt", f"#version: 0.2\n{lines}")


def _whole(ids: Mapping[str, int], pairs: list[tuple[str, str]], words: Vocabulary) -> dict[str, Any]:
    """The content of tokenizer.json."""
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": key, **_added(token, key, words)} for token, key in words.in_order()],
        "normalizer": None,
        "pre_tokenizer": _PIECES,
        "post_processor": _framed(words),
        "decoder": {**_PIECES, "add_prefix_space": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": dict(ids),
            "merges": [list(pair) for pair in pairs],
        },
    }


def _added(token: str, key: int, words: Vocabulary) -> dict[str, Any]:
    """An added token. Timestamps are not special tokens in these files, so that they can be part of the text."""
    is_special = key < words.first_time_id
    return {
        "content": token,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": is_special,
    }


def _framed(words: Vocabulary) -> dict[str, Any]:
    """The tokens that are put around a label."""
    before, after = [START, NO_TIMES], [END]
    template = [*map(_special, before), {"Sequence": {"id": "A", "type_id": 0}}, *map(_special, after)]
    named = {token: {"id": token, "ids": [words.specials[token]], "tokens": [token]} for token in (*before, *after)}
    pair = [*template[:-1], {"Sequence": {"id": "B", "type_id": 1}}, template[-1]]
    return {"type": "TemplateProcessing", "single": template, "pair": pair, "special_tokens": named}


def _special(token: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": token, "type_id": 0}}


def _config(words: Vocabulary) -> dict[str, Any]:
    return {
        "tokenizer_class": "WhisperTokenizer",
        "processor_class": "WhisperProcessor",
        "added_tokens_decoder": {str(key): _added(token, key, words) for token, key in words.in_order()},
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "model_max_length": 1024,
        "return_attention_mask": False,
        **_special_tokens(words),
    }


def _special_tokens(words: Vocabulary) -> dict[str, Any]:
    others = [token for token, key in words.in_order() if key < words.first_time_id]
    ends = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), END)
    return {"additional_special_tokens": others, **ends}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
