"""The normaliser `basic`: the result of Whisper's BasicTextNormalizer with default options, for any string."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from itertools import chain, groupby

VERSION = 1

_BRACKETED = re.compile(r"[<\[][^>\]]*[>\]]")
_IN_PARENTHESES = re.compile(r"\([^)]+?\)")
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")
_FULL_WIDTH_PUNCTUATION = "，？！：；"


def basic(text: str) -> str:
    """Lower case, without text in ASCII brackets, in NFKC, with spaces for marks, symbols and punctuation.

    >>> basic("Don't stop: [noise] ＧＰＵ 用了 50%（約）")
    'don t stop gpu 用了 50 約 '
    """
    text = replace_bracketed(_BRACKETED, ">]", text.lower())
    text = replace_bracketed(_IN_PARENTHESES, ")", text)
    for mark in _FULL_WIDTH_PUNCTUATION:  # they become spaces in the end, and they make NFKC rebuild the whole string
        text = text.replace(mark, " ")
    text = unicodedata.normalize("NFKC", text)
    text = _symbols().sub(" ", text)
    if _BEYOND_BMP.search(text):
        text = _symbols_beyond_bmp().sub(" ", text)
    return single_spaced(text.lower())


def single_spaced(text: str) -> str:
    r"""Every run of white space as one space, also at both ends.

    >>> single_spaced("\t so  what\u3000")
    ' so what '
    """
    joined = " ".join(text.split())
    if not joined:
        return " " if text else ""
    before, after = " " * text[0].isspace(), " " * text[-1].isspace()
    return f"{before}{joined}{after}"


def replace_bracketed(pattern: re.Pattern[str], closing: str, text: str, by: str = "") -> str:
    """Replace each match up to the last closing bracket by `by`. After it, no opening bracket can match.

    >>> replace_bracketed(_IN_PARENTHESES, ")", "a (b) c (d")
    'a  c (d'
    """
    end = max(map(text.rfind, closing)) + 1
    return pattern.sub(by, text[:end]) + text[end:] if end else text


@cache
def _symbols() -> re.Pattern[str]:
    return re.compile(_character_class(range(0x10000)))


@cache
def _symbols_beyond_bmp() -> re.Pattern[str]:
    """Separate from the others: in one class, each Han character would be compared with every range of these."""
    return re.compile(_character_class(chain(range(0x10000, 0x20000), range(0xE0000, 0xE1000))))


def _character_class(code_points: Iterable[int]) -> str:
    """A regular expression of the runs of marks, symbols and punctuation among these code points."""
    symbols = (point for point in code_points if unicodedata.category(chr(point))[0] in "MSP")
    ranges = []
    for _, neighbours in groupby(enumerate(symbols), key=lambda pair: pair[1] - pair[0]):
        run = [point for _, point in neighbours]
        ranges.append(rf"\U{run[0]:08x}-\U{run[-1]:08x}")
    return f"[{''.join(ranges)}]+"
