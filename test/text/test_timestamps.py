"""Timestamps separate words: each becomes a space, and nothing else changes."""

import pytest

from k2d.text.timestamps import strip_timestamps


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("<0.00>so<1.20>我們<2.40>", " so 我們 "),
        ("<0.00> <2.40>", "   "),
        ("<29.98><30>", "  "),
        ("no marks", "no marks"),
        ("", ""),
        ("a<b 2<3>1 <x.yz> <1.2.3> <-1.00>", "a<b 2 1 <x.yz> <1.2.3> <-1.00>"),
        ("<1.00", "<1.00"),
    ],
)
def test_each_mark_is_a_space(text, stripped):
    assert strip_timestamps(text) == stripped
