"""Convert traditional to simplified Han, so that two spellings of a word are equal. The adapter of OpenCC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Literal

HanScript = Literal["t2s", "per_char", "none"]

_MOST_ROUNDS = 10


def simplified(text: str) -> str:
    """Convert by phrases, over the whole text.

    >>> simplified("瞭解乾坤，弄乾頭髮")
    '了解乾坤，弄干头发'
    """
    return text if text.isascii() else _settled(text)


def simplified_per_char(text: str) -> str:
    """Convert each character alone, as in the paper's code. This is wrong if the word determines the conversion.

    >>> simplified_per_char("瞭解乾坤")
    '瞭解干坤'
    """
    return text if text.isascii() else "".join(map(_simplified_char, text))


def unconverted(text: str) -> str:
    return text


CONVERTERS: Mapping[HanScript, Callable[[str], str]] = {
    "t2s": simplified,
    "per_char": simplified_per_char,
    "none": unconverted,
}


def script_version() -> str:
    return f"opencc-{version('opencc')}"


def _settled(text: str) -> str:
    """Convert until nothing changes.

    Once is not enough: 打壞 becomes 打坏, but 打坏 becomes 打坯, so the two spellings of one word would differ. Two
    or three rounds are enough for every known text. The limit is for dictionaries with a circle.
    """
    convert = _opencc()
    for _ in range(_MOST_ROUNDS):
        if (converted := convert(text)) == text:
            break
        text = converted
    return text


@cache
def _simplified_char(character: str) -> str:
    return _settled(character)


@cache
def _opencc() -> Callable[[str], str]:
    import opencc

    convert: Callable[[str], str] = opencc.OpenCC("t2s").convert
    return convert
