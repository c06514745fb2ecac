"""The signature: a line that describes how a score was made. Only scores with equal signatures share a table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import rapidfuzz

from k2d.text.normalise import Normaliser

VERSION = 1  # of the counting in this room; raise it if the same texts would give other figures

_DIGITS = 12


def signature(normaliser: Normaliser, tokens: str, references: str, hypotheses: str = "") -> str:
    """Everything that determines a score besides the recogniser's output: conventions, test set, decoding."""
    fields = [
        f"k2d-score:{VERSION}",
        f"norm:{normaliser.signature}",
        f"tok:{tokens}",
        f"align:rapidfuzz-{rapidfuzz.__version__}",
        f"set:{references}",
        *([f"decode:{hypotheses}"] if hypotheses else []),
    ]
    return "|".join(fields)


def texts_digest(texts: Iterable[tuple[str, str]]) -> str:
    """A fingerprint of references: their ids and texts, in order of id."""
    digest = hashlib.sha256()
    for key, text in sorted(texts):
        digest.update(f"{key} {text}\n".encode())
    return digest.hexdigest()[:_DIGITS]


def settings_digest(settings: Mapping[str, Any]) -> str:
    """A fingerprint of settings."""
    text = json.dumps(settings, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def differing_fields(one: str, other: str) -> list[str]:
    """The fields in which two signatures differ.

    >>> differing_fields("k2d-score:1|tok:default|set:ab", "k2d-score:1|tok:paper|set:ab")
    ['tok: default / paper']
    """
    mine, theirs = (dict(field.partition(":")[::2] for field in line.split("|")) for line in (one, other))
    return [
        f"{name}: {mine.get(name, '–')} / {theirs.get(name, '–')}"
        for name in dict.fromkeys([*mine, *theirs])
        if mine.get(name) != theirs.get(name)
    ]
