"""The part of a text that was spoken before its audio is cut off."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Za-z0-9'’.-]+|\S")


def heard_text(text: str, heard: float) -> str:
    """The words that are complete when this share of an utterance has been spoken, if all letters take equally long.

    >>> heard_text("我們 like music", 0.6), heard_text("我們 like music", 1.0), heard_text("music", 0.9)
    ('我們 like', '我們 like music', '')
    """
    if heard >= 1:
        return text
    ends = [word.end() for word in _WORD.finditer(text) if word.end() <= heard * len(text)]
    return text[: ends[-1]] if ends else ""
