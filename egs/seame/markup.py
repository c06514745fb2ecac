"""SEAME's markup: noises, unintelligible words, and signs around particles and names are removed. Words are kept.

>>> words("okay <v-noise> 我 [lah] (ppl) 去 ~Orchard~ (ppb)(ppb)")
'okay 我 lah 去 Orchard'
>>> words("<unk malay> 的 <unl>"), words("(PPL) ppo <noise>")
('的', '')
"""

from __future__ import annotations

import re

_NOISE = re.compile(r"[<(\[]\s*(?:pp[a-z]+|v-noise|noise)\s*[>)\]]|(?<![^\s])pp[lcbo](?![^\s])", re.IGNORECASE)
_UNKNOWN = re.compile(r"<\s*un[kl](?:\s[a-z ]*)?>", re.IGNORECASE)
# Brackets mark discourse particles. A normaliser would remove `[lah]` together with the word.
_SIGNS = str.maketrans(dict.fromkeys("()[]{}<>（）［］【】#＃~～%*×_`｀\\&", " "))
_CONTROL = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])  # these occur in some lines


def words(text: str) -> str:
    """The spoken words in the corpus's own spelling and punctuation. Empty if there is only noise."""
    said = _UNKNOWN.sub(" ", _NOISE.sub(" ", text.translate(_CONTROL))).translate(_SIGNS)
    return " ".join(said.split())
