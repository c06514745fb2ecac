"""CS-Dialogue's markup: the language at the start of a line, tags of noises, marks of corrections.

>>> language("<MIX> 嗯，我是 Luna <FIL/>"), words("<MIX> 嗯，我是 Luna <FIL/>， **好 吧**。<NPS/>")
('mixed', '嗯，我是 Luna ， 好 吧 。')
"""

from __future__ import annotations

import re

_LANGUAGES = {"<CN>": "zh", "<EN>": "en", "<MIX>": "mixed"}
_TAG = re.compile(r"</?[A-Z]{2,4}/?>")


def language(text: str) -> str | None:
    """The language of the utterance as labelled by the transcriber. None if the text has no such label."""
    return _LANGUAGES.get(text.split(maxsplit=1)[0]) if text else None


def words(text: str) -> str:
    """The spoken words with the corpus's punctuation. Empty if there are only tags."""
    return " ".join(_TAG.sub(" ", text).replace("**", " ").split())
