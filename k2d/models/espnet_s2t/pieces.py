"""Train and load the sentencepiece model whose pieces are part of an ESPnet S2T vocabulary."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from k2d.core.errors import K2DError, UsageError
from k2d.core.layout import shown

_AT_LEAST = re.compile(r"required_chars\. \d+ vs (\d+)")
_AT_MOST = re.compile(r"Please set it to a value <= (\d+)")
_N_OF_ITS_OWN = 3 + 256  # <unk>, <s>, </s>, and a piece for every byte
_MORE_THAN_ANY = 1 << 24


_BORDER = "\x1f"  # occurs in no text; sentencepiece still makes a piece of it, which is never used
_HAN = re.compile(r"([\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af])")


def train_pieces(
    texts: Sequence[str],
    symbols: Sequence[str],
    *,
    vocab_size: int,
    model_type: str = "unigram",
    split_han: bool = True,
) -> bytes:
    """A sentencepiece model trained on plain texts. The same texts give the same model.

    Symbols are never split. Every character of the texts is a piece (coverage 1.0), and all others are spelt in bytes,
    so that no character is unknown. `vocab_size` counts symbols, bytes and pieces. With `split_han`, no piece has
    several Han characters.
    """
    if not any(text.strip() for text in texts):
        raise UsageError("tokens: there is no text to train pieces on; check the labelled splits")
    borders = split_han and model_type in ("unigram", "bpe")  # pieces of single characters need none
    learnt = [_HAN.sub(rf"{_BORDER}\1{_BORDER}", text) for text in texts] if borders else texts
    try:
        model = _trained(learnt, symbols, vocab_size, model_type)
    except RuntimeError as error:
        raise UsageError(_explained(str(error), learnt, symbols, vocab_size, model_type)) from error
    processor = SentencePieceProcessor(model_proto=model)
    _check_characters(processor, texts)
    _check_round_trip(processor, texts)
    return model


def pieces_of(model: bytes) -> list[str]:
    """The pieces of a model in order."""
    processor = SentencePieceProcessor(model_proto=model)
    return [processor.id_to_piece(n) for n in range(len(processor))]


def read_pieces(path: Path) -> bytes:
    """Load a sentencepiece model from a file. K2DError if it is not one."""
    content = path.read_bytes()
    found = f"no sentencepiece model in its {len(content):,} bytes" if content else "empty"
    try:
        if content:
            SentencePieceProcessor(model_proto=content)
            return content
    except RuntimeError:
        pass
    raise K2DError(f"{shown(path)}: {found}; expected the sentencepiece model of these weights: copy it there again")


def _trained(texts: Iterable[str], symbols: Sequence[str], vocab_size: int, model_type: str) -> bytes:
    made = io.BytesIO()  # instead of a file, whose path would become part of the model
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=made,
        vocab_size=vocab_size,
        model_type=model_type,
        character_coverage=1.0,
        byte_fallback=True,
        user_defined_symbols=list(symbols),
        normalization_rule_name="identity",  # texts are normalised before, and ids must give the written text back
        max_sentence_length=1 << 20,  # longer ones would be skipped silently
        pretokenization_delimiter=_BORDER if model_type in ("unigram", "bpe") else "",
        num_threads=1,
        minloglevel=2,
    )
    return made.getvalue()


def _explained(message: str, texts: Sequence[str], symbols: Sequence[str], vocab_size: int, model_type: str) -> str:
    """The range of sizes that these texts allow, found by requesting too few and too many."""
    if not (_AT_LEAST.search(message) or _AT_MOST.search(message)):
        return f"tokens: sentencepiece cannot be trained on these texts: {message}"
    least = _limit(_AT_LEAST, texts, symbols, len(symbols) + _N_OF_ITS_OWN, model_type)
    most = _limit(_AT_MOST, texts, symbols, _MORE_THAN_ANY, model_type)
    return (
        f"tokens.vocab_size is {vocab_size}; these texts allow {least or '?'} to {most or '?'} ({model_type}; "
        f"{len(symbols)} of them symbols, 256 bytes, the rest characters and what is made of them)"
    )


def _limit(found_by: re.Pattern[str], texts: Sequence[str], symbols: Sequence[str], size: int, model_type: str) -> str:
    try:
        _trained(texts, symbols, size, model_type)
    except RuntimeError as error:
        found = found_by.search(str(error))
        return found[1] if found else ""
    return ""


def _check_characters(processor: SentencePieceProcessor, texts: Sequence[str]) -> None:
    characters = sorted({character for text in texts for character in text if not character.isspace()})
    spelt = [c for c in characters if any(processor.is_byte(n) for n in processor.encode(c))]
    if spelt:
        raise UsageError(
            f"tokens: {len(spelt)} of {len(characters)} characters have no piece of their own ({''.join(spelt[:10])}); "
            "set tokens.vocab_size higher"
        )


def _check_round_trip(processor: SentencePieceProcessor, texts: Sequence[str]) -> None:
    for text in texts:
        written = " ".join(text.split())
        if processor.decode(processor.encode(written)) != written:
            raise K2DError(
                f"tokens: {written[:60]!r} does not survive as ids; it holds what sentencepiece keeps for itself"
            )
