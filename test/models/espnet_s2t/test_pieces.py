"""Pieces are trained so that no character is unknown. For an impossible size, the possible range is named."""

import random

import pytest
from models_made import MINI, TEXTS

from k2d.core.errors import K2DError, UsageError
from k2d.models.espnet_s2t.pieces import pieces_of, read_pieces, train_pieces
from k2d.models.espnet_s2t.vocabulary import special_symbols, token_list

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


@pytest.mark.slow
def test_an_impossible_size_is_reported_with_the_range():
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


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (random.Random(0).randbytes(3_000), "no sentencepiece model in its 3,000 bytes"),
        (b"hello\n", "no sentencepiece model in its 6 bytes"),
        (b"", "empty"),
    ],
    ids=["random", "text", "empty"],
)
def test_a_file_that_is_not_a_sentencepiece_model_is_named(tmp_path, content, found):
    (tmp_path / "bpe.model").write_bytes(content)
    with pytest.raises(K2DError) as caught:
        read_pieces(tmp_path / "bpe.model")
    assert str(caught.value) == (
        f"{tmp_path}/bpe.model: {found}; expected the sentencepiece model of these weights: copy it there again"
    )


def test_a_model_cut_anywhere_is_refused_or_lacks_pieces(tmp_path):
    """A file that is cut between two pieces is a model with fewer pieces, which the list of tokens reveals."""
    whole = train_pieces(TEXTS, SYMBOLS, vocab_size=SIZE, model_type="bpe")
    n_refused = 0
    for n_bytes in range(1, len(whole), 97):
        (tmp_path / "bpe.model").write_bytes(whole[:n_bytes])
        try:
            assert len(pieces_of(read_pieces(tmp_path / "bpe.model"))) < SIZE
        except K2DError:
            n_refused += 1
    assert n_refused > 10
