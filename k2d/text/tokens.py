"""Mixed tokens: a Han character is one, a run of Latin letters, digits and apostrophes is one."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class Script(Enum):
    """What a token is written in."""

    ZH = "zh"  # one Han character, of any block; 〇 and 々 are Han (Unicode's own script property)
    EN = "en"  # Latin letters, with or without digits and apostrophes: "don't", "GPU", "mp3"
    NUM = "num"  # digits alone
    OTHER = "other"  # words of any other script


class Token(NamedTuple):
    text: str
    script: Script


_HAN = "々〇㐀-䶿一-鿿豈-﫿\U00020000-\U0002fa1f\U00030000-\U000323af"
_LATIN = "A-Za-zÀ-ÖØ-öø-ɏ"
_TOKEN = re.compile(
    rf"(?P<zh>[{_HAN}])"
    rf"|(?P<en>(?=[0-9]*(?:['’][0-9]+)*['’]?[{_LATIN}])[{_LATIN}0-9]+(?:['’][{_LATIN}0-9]+)*)"
    r"|(?P<num>[0-9]+)"
    rf"|(?P<other>(?:(?![{_HAN}{_LATIN}0-9_])\w)+)"
)


def mixed_tokens(text: str) -> list[Token]:
    """The tokens of a text, in order; spaces and punctuation part them and are none.

    >>> [token.text for token in mixed_tokens("我們用 GPU 跑 3 個 model，don't 等。")]
    ['我', '們', '用', 'GPU', '跑', '3', '個', 'model', "don't", '等']
    >>> [token.script.value for token in mixed_tokens("跑 3 個 model")]
    ['zh', 'num', 'zh', 'en']
    """
    return [Token(match.group(), Script(match.lastgroup)) for match in _TOKEN.finditer(text)]
