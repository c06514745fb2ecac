"""Mixed tokens: one positive case per class, and the borders between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.text.tokens import Script, mixed_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("課", [("課", "zh")]),
        ("々〇", [("々", "zh"), ("〇", "zh")]),
        ("𠀀㐀豈", [("𠀀", "zh"), ("㐀", "zh"), ("豈", "zh")]),  # Extension B, Extension A, compatibility
        ("GPU", [("GPU", "en")]),
        ("don't naïve mp3", [("don't", "en"), ("naïve", "en"), ("mp3", "en")]),
        ("2024", [("2024", "num")]),
        ("3.14", [("3", "num"), ("14", "num")]),
        ("ひらがな мир", [("ひらがな", "other"), ("мир", "other")]),
        ("第3課model好", [("第", "zh"), ("3", "num"), ("課", "zh"), ("model", "en"), ("好", "zh")]),
        ("COVID-19", [("COVID", "en"), ("19", "num")]),
        ("'quoted'", [("quoted", "en")]),
        ("，。！? 😀 _", []),
        ("", []),
    ],
)
def test_tokens_and_their_scripts(text, tokens):
    assert [(token.text, token.script.value) for token in mixed_tokens(text)] == tokens


@given(st.text())
def test_no_letter_or_digit_is_lost_and_nothing_is_invented(text):
    tokens = mixed_tokens(text)
    assert all(token.text in text for token in tokens)
    joined = "".join(token.text for token in tokens)
    assert [c for c in text if c.isalnum()] == [c for c in joined if c.isalnum()]


@given(st.text(alphabet="我們ab1' "))
def test_spaces_around_tokens_change_nothing(text):
    tokens = mixed_tokens(text)
    assert mixed_tokens(" ".join(token.text for token in tokens)) == tokens
    assert all(len(token.text) == 1 for token in tokens if token.script is Script.ZH)
