"""The pronunciation of English in the symbols of Kokoro: eSpeak's American English, respelt as misaki does."""

from __future__ import annotations

import re

from egs.mini.speak import Espeak
from k2d.core.errors import K2DError

# eSpeak's symbols and Kokoro's, in the order in which they are replaced. A diphthong and an affricate are one symbol.
_RESPELT = (
    *(("aɪ", "I"), ("aʊ", "W"), ("eɪ", "A"), ("oʊ", "O"), ("ɔɪ", "Y"), ("dʒ", "ʤ"), ("tʃ", "ʧ")),
    *(("ɚ", "əɹ"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""), ("r", "ɹ"), ("x", "k"), ("ç", "k")),
    *(("ɐ", "ə"), ("ɬ", "l"), ("o", "ɔ"), ("ɾ", "T"), ("ʔ", "t"), ("ʲ", ""), ("\u0303", "")),
)
_SWITCH = re.compile(r"\([a-z-]+\)")  # eSpeak's mark where it takes a word for another language's
_FINAL_L = re.compile(r"əl\b")
_SYLLABIC = re.compile("(\\S)\u0329")


class EnglishEspeak(Espeak):
    """eSpeak with an American voice, which is asked for phonemes alone."""

    def _take_voice(self, variant: str) -> None:
        if self._library.espeak_SetVoiceByName(b"en-us"):
            raise K2DError("eSpeak NG has no voice en-us; install the package espeakng-loader again")

    def kokoro_phonemes(self, text: str) -> str:
        """The phonemes of English words in the symbols of Kokoro."""
        return respelt(self.phonemes(text))


def respelt(ipa: str) -> str:
    """eSpeak's IPA in the symbols of Kokoro.

    >>> respelt("ðə tʃˈeɪndʒɪŋ bˈɛɾɚ lˈeɪbəl")
    'ðə ʧˈAnʤɪŋ bˈɛTəɹ lˈAbᵊl'
    """
    ipa = _FINAL_L.sub("ᵊl", _SWITCH.sub("", ipa))
    for found, symbol in _RESPELT:
        ipa = ipa.replace(found, symbol)
    return _SYLLABIC.sub("ᵊ\\1", ipa).strip()
