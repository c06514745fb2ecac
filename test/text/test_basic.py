"""`basic` compared with Whisper's own normaliser, which is loaded from its file because its package imports torch."""

import importlib.util
import runpy
import sys
from pathlib import Path

import pytest
from growth import grows_linearly
from hypothesis import given, settings
from hypothesis import strategies as st

from k2d.text.basic import basic, single_spaced


@pytest.fixture(scope="session")
def whisper():
    package = Path(importlib.util.find_spec("whisper").origin).parent
    return runpy.run_path(str(package / "normalizers" / "basic.py"))["BasicTextNormalizer"]()


@settings(max_examples=400, deadline=None)
@given(data=st.data())
@pytest.mark.slow
def test_it_equals_whispers_normaliser_and_is_idempotent(whisper, any_text, data):
    text = data.draw(any_text)
    assert basic(text) == whisper(text)
    assert basic(basic(text)) == basic(text)


@pytest.mark.slow
def test_it_equals_whispers_normaliser_for_each_character(whisper):
    """About 1.1 million characters, each between two letters, in blocks."""
    points = [point for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    blocks = ["".join(f"a{chr(point)}b" for point in points[i : i + 65536]) for i in range(0, len(points), 65536)]
    for block in blocks:
        assert basic(block) == whisper(block)
    assert sum(map(len, blocks)) == 3 * 1_112_064


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("don't", "don t"),
        ("3.14", "3 14"),
        ("50%", "50 "),
        ("U.S. e-mail", "u s e mail"),
        ("ＧＰＵ　１２", "gpu 12"),
        ("①", "1"),
        ("a [noise] b <unk> c (laughs) d", "a b c d"),
        ("好（笑）的", "好 笑 的"),  # full-width brackets keep what is in them
        ("😀", " "),
        ("naïve", "naïve"),
        ("", ""),
        (" \t\n", " "),
    ],
)
def test_golden(text, normal):
    assert basic(text) == normal


def test_single_spaced():
    assert [single_spaced(text) for text in ("a  b", " a", "a\n", "", "  ", "a\x1cb")] == [
        "a b",
        " a",
        "a ",
        "",
        " ",
        "a b",
    ]


@pytest.mark.parametrize("piece", ["<", "(", "[a", "<1", "((", "😀", "\u0301", "，", "()", "\r"])
@pytest.mark.slow
def test_the_work_grows_as_a_text_of_trouble_does(piece):
    assert grows_linearly(lambda n: basic(piece * (n // len(piece))), 1_000)
