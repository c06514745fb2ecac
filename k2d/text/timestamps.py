"""Timestamps inside a text, in the form `<0.00> 我們 <2.40>`."""

from __future__ import annotations

import re

_MARK = re.compile(r"<([0-9]+(?:\.[0-9]+)?)>")


def strip_timestamps(text: str) -> str:
    """Replace each timestamp by a space, which separates the words on both sides.

    >>> strip_timestamps("<0.00>so<1.20>我們<2.40>")
    ' so 我們 '
    """
    return _MARK.sub(" ", text) if "<" in text else text


def text_before(text: str, time_s: float) -> str:
    """The part of a timestamped text up to its first timestamp at or after a time.

    >>> text_before("<0.00>so<1.20><2.00>我們<2.40>", 2.0)
    '<0.00>so<1.20>'
    """
    cut = next((mark.start() for mark in _MARK.finditer(text) if float(mark[1]) >= time_s), len(text))
    return text[:cut]
