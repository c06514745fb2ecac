"""Pieces are trained so that no character is unknown, and sizes that cannot be are named with those that can."""

import pytest
from models_made import MINI, TEXTS

from k2d.faults import UsageError
from k2d.models.espnet_s2t_layout import special_symbols, token_list
from k2d.models.pieces import pieces_of, train_pieces

SYMBOLS = special_symbols(MINI)
SIZE = len(SYMBOLS) + 256 + 60


def test_the_same_texts_give_the_same_model():
    assert train_pieces(TEXTS, SYMBOLS, vocab_size=SIZE, model_type="bpe") == train_pieces(
        TEXTS, SYMBOLS, vocab_size=SIZE, model_type="bpe"
    )


def test_the_token_list_is_in_owsms_order():
    pieces = pieces_of(train_pieces(TEXTS, SYMBOLS, vocab_size=SIZE, model_type="bpe"))
    tokens = token_list(pieces, MINI)
    assert tokens[:9] == [
        "<blank>",
        "<unk>",
        "<na>",
        "<nospeech>",
        "<zho>",
        "<eng>",
        "<asr>",
        "<notimestamps>",
        "<0.00>",
    ]
    assert tokens[108] == "<10.00>"
    assert tokens[109] == "<0x00>"
    assert tokens[-3:] == ["<sos>", "<eos>", "<sop>"]
    # sentencepiece counts its own <s> and </s>, the list the blank and three ends more
    assert len(tokens) == len(pieces) - 2 + 4
    assert {c for text in TEXTS for c in text if c != " "} <= {c for token in tokens[365:-3] for c in token}


def test_a_size_that_cannot_be_is_told_with_the_range():
    with pytest.raises(UsageError, match=r"vocab_size is 300; these texts allow (\d+) to (\d+) \(bpe") as low:
        train_pieces(TEXTS, SYMBOLS, vocab_size=300, model_type="bpe")
    least, most = (int(word) for word in str(low.value).split() if word.isdigit() and int(word) > 300)
    for possible in (least, most):
        assert len(pieces_of(train_pieces(TEXTS, SYMBOLS, vocab_size=possible, model_type="bpe"))) == possible
    with pytest.raises(UsageError, match=f"vocab_size is {most + 1}; these texts allow {least} to {most}"):
        train_pieces(TEXTS, SYMBOLS, vocab_size=most + 1, model_type="bpe")


def test_no_text_is_refused():
    with pytest.raises(UsageError, match="no text to train pieces on"):
        train_pieces(["", " "], SYMBOLS, vocab_size=SIZE)
