"""Timestamps inside a text, as a recogniser writes them: `<0.00> 我們 <2.40>`."""

from __future__ import annotations

import re

_MARK = re.compile(r"<[0-9]+(?:\.[0-9]+)?>")


def strip_timestamps(text: str) -> str:
    """Put a space where a timestamp stands: it parts the words on both sides.

    >>> strip_timestamps("<0.00>so<1.20>我們<2.40>")
    ' so 我們 '
    """
    return _MARK.sub(" ", text) if "<" in text else text
