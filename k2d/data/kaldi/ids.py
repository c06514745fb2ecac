"""The grammar of ids (utterances, recordings, speakers).

An id is 1 to 255 bytes of UTF-8 in Unicode form NFC. Letters and digits of any script and the signs
`_ - . , : + = @ # % ^ ~` are fine. White space, invisible characters and what a shell or a file system
takes for its own (``/ \\ " ' ` $ ( ) ; | & < > * ? [ ] { } !``) are not, nor a leading `-`, nor `.` and `..`.
Ids that differ only in case are different. An id is never used as a file name.
"""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 255

_FORBIDDEN = "/\\\"'`$();|&<>*?[]{}!"
_CHARACTER = rf"[^\s\x00-\x1f\x7f-\x9f{re.escape(_FORBIDDEN)}]"

# Good for certain: 63 characters are at most 252 bytes. A longer or odder id is for `id_fault` to judge.
PLAIN_ID = rf"(?!-|\.\.?(?:\s|$)){_CHARACTER}{{1,63}}"

_BAD_CHARACTER = re.compile(rf"(?!{_CHARACTER}).", re.DOTALL)


def id_fault(text: str) -> str:
    """What is wrong with an id; empty if nothing is.

    >>> id_fault("spk1-课堂_0001"), id_fault("../x"), id_fault("-n"), id_fault("a\\u3000b")
    ('', "contains '/'", "starts with '-'", 'contains U+3000 (IDEOGRAPHIC SPACE)')
    """
    if text in {"", ".", ".."}:
        return f"is {text!r}"
    if text.startswith("-"):
        return "starts with '-'"
    if bad := _BAD_CHARACTER.search(text):
        return f"contains {character_name(bad.group())}"
    if not text.isprintable():
        return f"contains {character_name(next(c for c in text if not c.isprintable()))}"
    n_bytes = len(text.encode())
    return f"is {n_bytes} bytes long (at most {MAX_BYTES})" if n_bytes > MAX_BYTES else ""


def character_name(character: str) -> str:
    """A character for messages, so that invisible ones can be told apart.

    >>> character_name("$"), character_name("\\0"), character_name("\\xa0")
    ("'$'", 'U+0000', 'U+00A0 (NO-BREAK SPACE)')
    """
    if character.isascii() and character.isprintable() and character != " ":
        return repr(character)
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")
