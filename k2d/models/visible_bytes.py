"""Bytes as visible letters, which is how vocabularies of byte pairs are written into text files."""

from __future__ import annotations

_PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]


def letters() -> dict[int, str]:
    """The visible letter that stands for each byte, as GPT-2's vocabulary writes it: U+0100 on for the invisible ones.

    >>> letters()[ord("a")], letters()[ord(" ")], letters()[0]
    ('a', 'Ġ', 'Ā')
    """
    hidden = [byte for byte in range(256) if byte not in _PRINTABLE]
    return {byte: chr(byte) for byte in _PRINTABLE} | {byte: chr(256 + n) for n, byte in enumerate(hidden)}
