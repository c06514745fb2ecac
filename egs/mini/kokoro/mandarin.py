"""The pronunciation of Han characters in the symbols of Kokoro: the IPA of misaki's first version, tones as arrows.

Kokoro-82M learned Mandarin from this form: the tones of the dictionary, no tone sandhi, and spaces between words.
misaki itself is not used, as it needs jieba and more packages for what is here a table. So a word is one if it is in
pypinyin's dictionary of phrases, and a character otherwise. Whisper base heard four sentences as it did with words by
jieba. Without any spaces it heard less: on eight sentences, 14 % of the characters were wrong, and 11 % with them.
"""

from __future__ import annotations

from collections.abc import Mapping

from k2d.core.errors import K2DError
from k2d.text.script import simplified

_TONES = {"1": "→", "2": "↗", "3": "↓", "4": "↘"}

_INITIALS: Mapping[str, str] = {
    **{"": "", "b": "p", "p": "pʰ", "m": "m", "f": "f", "d": "t", "t": "tʰ", "n": "n", "l": "l"},
    **{"g": "k", "k": "kʰ", "h": "x", "j": "ʨ", "q": "ʨʰ", "x": "ɕ", "z": "ʦ", "c": "ʦʰ", "s": "s"},
    **{"zh": "ꭧ", "ch": "ꭧʰ", "sh": "ʂ", "r": "ɻ"},
}

# 0 is the place of the tone, and v is ü.
_FINALS: Mapping[str, str] = {
    **{"a": "a0", "ai": "ai0", "an": "a0n", "ang": "a0ŋ", "ao": "au0", "e": "ɤ0", "ei": "ei0", "en": "ə0n"},
    **{"eng": "ə0ŋ", "er": "ɚ0", "ê": "ɛ0", "i": "i0", "ia": "ja0", "ian": "jɛ0n", "iang": "ja0ŋ", "iao": "jau0"},
    **{"ie": "je0", "in": "i0n", "ing": "i0ŋ", "io": "jɔ0", "iong": "jʊ0ŋ", "iou": "jou0", "o": "wo0"},
    **{"ong": "ʊ0ŋ", "ou": "ou0", "u": "u0", "ua": "wa0", "uai": "wai0", "uan": "wa0n", "uang": "wa0ŋ"},
    **{"uei": "wei0", "uen": "wə0n", "ueng": "wə0ŋ", "uo": "wo0", "v": "y0", "van": "ɥɛ0n", "ve": "ɥe0", "vn": "y0n"},
}
_ALONE: Mapping[str, str] = {**_FINALS, "o": "ɔ0", "m": "m0", "n": "n0"}  # without an initial
_AFTER_SIBILANTS = "ɨ0"
_SIBILANTS = ("z", "c", "s", "zh", "ch", "sh", "r")


def mandarin_phonemes(text: str) -> str:
    """The phonemes of a run of Han characters, with a space between words.

    >>> mandarin_phonemes("你好世界")
    'ni↓xau↓ ʂɨ↘ ʨje↘'
    """
    from pypinyin import Style, lazy_pinyin
    from pypinyin.seg.mmseg import seg

    words = seg.cut(simplified(text))
    return " ".join("".join(map(syllable, lazy_pinyin(word, style=Style.TONE))) for word in words)


def syllable(pinyin: str) -> str:
    """A syllable from pinyin.

    >>> [syllable(each) for each in ("hǎo", "zhī", "xué", "de", "èr", "wǔ", "lǜ", "bō", "ó")]
    ['xau↓', 'ꭧɨ→', 'ɕɥe↗', 'tɤ', 'ɚ↘', 'u↓', 'ly↘', 'pwo→', 'ɔ↗']
    """
    from pypinyin import Style
    from pypinyin.style import convert

    initial = convert(pinyin, Style.INITIALS, strict=True, default="")
    numbered = convert(pinyin, Style.FINALS_TONE3, strict=True, default="")
    final, tone = numbered.rstrip("1234"), _TONES.get(numbered[-1:], "")
    finals = _FINALS if initial else _ALONE
    if initial not in _INITIALS or final not in finals:
        raise K2DError(f"{pinyin!r}: expected a syllable in pinyin; take its word out of egs/mini/words")
    nucleus = _AFTER_SIBILANTS if final == "i" and initial in _SIBILANTS else finals[final]
    return _INITIALS[initial] + nucleus.replace("0", tone)
