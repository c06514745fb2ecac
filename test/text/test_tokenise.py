"""Mixed tokens: cases of each class in both modes, and the borders between them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.text.normalise import Normaliser
from k2d.text.tokenise import Script, mixed_tokens, token_texts


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("課", [("課", "zh")]),
        ("々〇", [("々", "zh"), ("〇", "zh")]),
        ("𠀀㐀\uf900", [("𠀀", "zh"), ("㐀", "zh"), ("\uf900", "zh")]),  # Extension B, Extension A, compatibility
        ("GPU", [("GPU", "en")]),
        ("don't naïve mp3", [("don't", "en"), ("naïve", "en"), ("mp3", "en")]),
        ("2024", [("2024", "num")]),
        ("3.14", [("3", "num"), ("14", "num")]),
        ("3'4 5'a", [("3", "num"), ("4", "num"), ("5'a", "en")]),
        ("ひらがな мир", [("ひらがな", "other"), ("мир", "other")]),
        ("カメラgood한국", [("カメラ", "other"), ("good", "en"), ("한국", "other")]),
        ("第3課model好", [("第", "zh"), ("3", "num"), ("課", "zh"), ("model", "en"), ("好", "zh")]),
        ("COVID-19", [("COVID", "en"), ("19", "num")]),
        ("'quoted'", [("quoted", "en")]),
        ("，。！? 😀 _", []),
        ("", []),
    ],
)
def test_tokens_and_their_scripts(text, tokens):
    assert [(token.text, token.script.value) for token in mixed_tokens(text)] == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("第3課2024年", [("第", "zh"), ("3", "en"), ("課", "zh"), ("2024", "en"), ("年", "zh")]),  # digits are English
        ("don't e-mail", [("don't", "en"), ("e-mail", "en")]),
        ("一〇々㐀𠀀", [("一", "zh"), ("〇々㐀𠀀", "en")]),  # beyond U+4E00 to U+9FFF all is one English word
        ("ひらがな мир", [("ひらがな", "en"), ("мир", "en")]),
        ("model好", [("model", "en"), ("好", "zh")]),
        ("- ' _ 😀", []),
    ],
)
def test_paper_mode_counts_as_the_authors_code(text, tokens):
    assert [(token.text, token.script.value) for token in mixed_tokens(text, mode="paper")] == tokens


@pytest.mark.slow
def test_han_follows_unicode():
    """All characters named as ideographs, 々 and 〇, and no other letters of any script."""
    letters = [chr(point) for point in range(0x2E80, 0x32400) if chr(point).isalnum()]
    han = [c for c in letters if unicodedata.name(c, "").startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH"))]
    named = {*han, "々", "〇"}
    assert [c for c in letters if (mixed_tokens(c)[0].script is Script.ZH) != (c in named)] == []
    assert len(han) > 90_000


@given(data=st.data(), mode=st.sampled_from(["default", "paper"]), normal=st.booleans())
@pytest.mark.slow
def test_the_fast_tokeniser_gives_the_same_tokens(any_text, data, mode, normal):
    text = data.draw(any_text)
    text = Normaliser()(text) if normal else text
    tokens = mixed_tokens(text, mode=mode)
    assert token_texts(text, mode=mode) == [token.text for token in tokens]


@given(st.text(), st.sampled_from(["default", "paper"]))
def test_tokens_have_exactly_the_letters_and_digits_of_the_text(text, mode):
    tokens = mixed_tokens(text, mode=mode)
    assert all(token.text in text for token in tokens)
    joined = "".join(token.text for token in tokens)
    assert [c for c in text if c.isalnum()] == [c for c in joined if c.isalnum()]


@given(st.text(alphabet="我們ab1' "))
def test_spaces_around_tokens_change_nothing(text):
    tokens = mixed_tokens(text)
    assert mixed_tokens(" ".join(token.text for token in tokens)) == tokens
    assert all(len(token.text) == 1 for token in tokens if token.script is Script.ZH)
