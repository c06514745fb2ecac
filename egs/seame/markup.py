"""SEAME's markup: noises, unintelligible words and the signs around particles and names go, the words stay.

>>> words("okay <v-noise> 我 [lah] (ppl) 去 ~Orchard~ (ppb)(ppb)")
'okay 我 lah 去 Orchard'
>>> words("<unk malay> 的 <unl>"), words("(PPL) ppo <noise>")
('的', '')
"""

from __future__ import annotations

import re

_NOISE = re.compile(r"[<(\[]\s*(?:pp[a-z]+|v-noise|noise)\s*[>)\]]|(?<![^\s])pp[lcbo](?![^\s])", re.IGNORECASE)
_UNKNOWN = re.compile(r"<\s*un[kl](?:\s[a-z ]*)?>", re.IGNORECASE)
# Brackets mark discourse particles: a normaliser would take `[lah]` out with the word in it.
_SIGNS = str.maketrans(dict.fromkeys("()[]{}<>（）［］【】#＃~～%*×_`｀\\&", " "))
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])  # some lines hold them


def words(text: str) -> str:
    """What is said, in the corpus's own spelling and punctuation; empty where only noise is heard."""
    said = _UNKNOWN.sub(" ", _NOISE.sub(" ", text.translate(_CONTROL))).translate(_SIGNS)
    return " ".join(said.split())
