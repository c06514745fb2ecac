"""Mixed tokens: a Han character is one token, and so is a run of Latin letters, digits and apostrophes.

The mode `paper` counts tokens as in the paper's code: only U+4E00 to U+9FFF are Han, and every run of other letters and
digits, in any script, is an English word.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Literal, NamedTuple


class Script(Enum):
    """The script of a token."""

    ZH = "zh"  # one Han character, of any block; 〇 and 々 are Han (Unicode's own script property)
    EN = "en"  # Latin letters, with or without digits and apostrophes: "don't", "GPU", "mp3"
    NUM = "num"  # digits alone
    OTHER = "other"  # words of any other script


class Token(NamedTuple):
    text: str
    script: Script


# Written as numbers, because an editor that normalises text would turn U+F900 into U+8C48, and Hangul into Han.
_HAN = (
    r"\u3005\u3007"  # 々 and 〇
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"  # Extension A, the main block, compatibility forms
    r"\U00020000-\U0002fa1f\U00030000-\U000323af"  # Extensions B to H, compatibility supplement
)
_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_TOKEN = re.compile(
    rf"(?P<zh>[{_HAN}])"
    rf"|(?P<en>(?=[0-9]*(?:['’][0-9]+)*['’]?[{_LATIN}])[{_LATIN}0-9]+(?:['’][{_LATIN}0-9]+)*)"
    r"|(?P<num>[0-9]+)"
    rf"|(?P<other>(?:(?![{_HAN}{_LATIN}0-9_])\w)+)"
)


_PAPER_HAN = r"\u4e00-\u9fff"
_PAPER_WORD = rf"[^\W_{_PAPER_HAN}]+"
_PAPER_TOKEN = re.compile(rf"(?P<zh>[{_PAPER_HAN}])|(?P<en>{_PAPER_WORD}(?:['-]{_PAPER_WORD})*)")

# The same without scripts, for texts without apostrophes and hyphens, such as the output of `basic`.
_PLAIN_TOKEN = re.compile(rf"[{_HAN}]|[{_LATIN}0-9]+|(?:(?![{_HAN}{_LATIN}0-9_])\w)+")
_PLAIN_PAPER_TOKEN = re.compile(rf"[{_PAPER_HAN}]|{_PAPER_WORD}")

Mode = Literal["default", "paper"]
_TOKENS: dict[Mode, re.Pattern[str]] = {"default": _TOKEN, "paper": _PAPER_TOKEN}
_PLAIN_TOKENS: dict[Mode, re.Pattern[str]] = {"default": _PLAIN_TOKEN, "paper": _PLAIN_PAPER_TOKEN}
_JOINERS = {"default": "'’", "paper": "'-"}


def mixed_tokens(text: str, *, mode: Mode = "default") -> list[Token]:
    """The tokens of a text, in order. Spaces and punctuation separate them and are not tokens.

    >>> [token.text for token in mixed_tokens("我們用 GPU 跑 3 個 model，don't 等。")]
    ['我', '們', '用', 'GPU', '跑', '3', '個', 'model', "don't", '等']
    >>> [token.script.value for token in mixed_tokens("跑 3 個 model")]
    ['zh', 'num', 'zh', 'en']
    """
    return [Token(match.group(), Script(match.lastgroup)) for match in _TOKENS[mode].finditer(text)]


def token_texts(text: str, *, mode: Mode = "default") -> list[str]:
    """The same tokens without their scripts, several times faster on a normalised text.

    >>> token_texts("跑 3 個 model")
    ['跑', '3', '個', 'model']
    """
    if any(joiner in text for joiner in _JOINERS[mode]):
        return [token.text for token in mixed_tokens(text, mode=mode)]
    return _PLAIN_TOKENS[mode].findall(text)


def spoken_language(text: str) -> Literal["zh", "en", "mixed", "other"]:
    """The language of an utterance by its letters: `mixed` if it has Han and Latin, `other` if it has neither.

    >>> [spoken_language(text) for text in ("你好 3", "so what", "好 so what", "123")]
    ['zh', 'en', 'mixed', 'other']
    """
    scripts = {token.script for token in mixed_tokens(text)}
    if {Script.ZH, Script.EN} <= scripts:
        return "mixed"
    return "zh" if Script.ZH in scripts else "en" if Script.EN in scripts else "other"
