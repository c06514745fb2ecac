"""Merges from ranks: on a vocabulary worked out by hand, and on Whisper's vocabularies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.core.errors import K2DError
from k2d.export.byte_pairs import merges, vocabulary
from k2d.models.visible_bytes import letters

RANKS = {b"a": 0, b"b": 1, b" ": 2, b"ab": 3, b"aba": 4, b" ab": 5, b"abaab": 6}


def test_every_byte_has_a_visible_letter_of_its_own():
    found = letters()
    assert sorted(found) == list(range(256))
    assert len(set(found.values())) == 256
    assert all(not letter.isspace() and letter.isprintable() for letter in found.values())


def test_a_token_is_merged_from_earlier_tokens():
    assert merges(RANKS) == [("a", "b"), ("ab", "a"), ("Ġ", "ab"), ("aba", "ab")]
    assert vocabulary(RANKS) == {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "aba": 4, "Ġab": 5, "abaab": 6}


def test_a_token_that_earlier_tokens_cannot_form_is_refused():
    with pytest.raises(K2DError, match=r"no two tokens before b'bab' \(rank 3\) form it"):
        merges({b"a": 0, b"b": 1, b"bab": 3})


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    """openai-whisper's tokenizer and the exported one, for each of the three vocabularies."""
    from tokenizers import Tokenizer
    from whisper.tokenizer import get_tokenizer
    from whisper_made import ENGLISH, TINY, V3

    from k2d.export.huggingface_tokenizer import Vocabulary, write_tokenizer

    found = []
    for dims in (TINY, ENGLISH, V3):
        folder = tmp_path_factory.mktemp("tokenizer")
        theirs = get_tokenizer(dims.is_multilingual, num_languages=dims.n_languages)
        write_tokenizer(folder, Vocabulary.of(theirs))
        found.append((theirs, Tokenizer.from_file(str(folder / "tokenizer.json")), dims))
    return found


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(text=st.text() | st.text("我們用 gradient descent's 更新\n 123,.!?🎉é "))
def test_texts_have_the_ids_of_openai_whisper(tokenizers, text):
    for theirs, ours, _ in tokenizers:
        ids = theirs.encode(text, disallowed_special=())
        if not any(token in text for token in theirs.special_tokens):
            assert ours.encode(text, add_special_tokens=False).ids == ids
            assert ours.decode(ids) == theirs.decode(ids)


@pytest.mark.slow
def test_special_tokens_have_the_ids_of_openai_whisper(tokenizers):
    for theirs, ours, dims in tokenizers:
        assert ours.get_vocab_size() == dims.n_vocab
        for token, key in theirs.special_tokens.items():
            assert ours.token_to_id(token) == key
        assert len(theirs.special_tokens) > 1600
