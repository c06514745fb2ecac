"""Make ids from file names and from names of people and courses: readable, equal on all machines, never a path.

An id depends only on its own file. Adding a recording does not change other ids.
"""

from __future__ import annotations

import hashlib
import unicodedata
from pathlib import PurePosixPath

READABLE_BYTES = 120
NAME_BYTES = 60
_HASH_CHARACTERS = 8


def recording_id(path: str, speaker: str = "") -> str:
    """The id of a recording: its speaker, and its path below the root.

    >>> recording_id("ML 2021/第1週/lecture (01).m4a")
    'ML_2021-第1週-lecture_01-f72c3402'
    >>> recording_id("🎉.wav", "hyl")
    'hyl-recording-81282764'
    """
    path = unicodedata.normalize("NFC", path)
    readable = "-".join(filter(None, map(_plain, PurePosixPath(path).with_suffix("").parts)))
    words = (speaker, _cut(readable, READABLE_BYTES) or "recording", _hash(path))
    return "-".join(filter(None, words))


def plain_id(name: str) -> str:
    """The name of a person or course as an id. If characters had to be replaced, a hash is appended.

    >>> plain_id("hyl"), plain_id("Prof. Lee"), plain_id("Prof. Lee ")
    ('hyl', 'Prof._Lee-63bd7877', 'Prof._Lee-63bd7877')
    """
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    plain = _cut(_plain(name), NAME_BYTES)
    return plain if plain == name else "-".join(filter(None, (plain, _hash(name))))


def segment_id(recording: str, start_s: float, end_s: float) -> str:
    """
    >>> segment_id("a", 1.5, 62.25)
    'a-0000150-0006225'
    """
    return f"{recording}-{round(100 * start_s):07d}-{round(100 * end_s):07d}"


def _plain(text: str) -> str:
    """Letters, digits, dots and hyphens of any script. All other characters are replaced by an underscore."""
    kept = "".join(char if char.isalnum() or char in ".-_" else " " for char in text)
    marked = "".join(char for char in kept if char.isprintable())
    return "_".join(marked.split()).strip("-._")


def _cut(text: str, n_bytes: int) -> str:
    return text.encode()[:n_bytes].decode(errors="ignore").strip("-._")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARACTERS]
