"""The grammar of ids (utterances, recordings, speakers).

An id has 1 to 255 bytes of UTF-8 in Unicode form NFC. It may contain letters and digits of any script and the signs `_
- . , : + = @ # % ^ ~`. It must not contain white space, invisible characters, or characters with a meaning in a shell
or file system (``/ \\ " ' ` $ ( ) ; | & < > * ? [ ] { } !``). It must not start with `-`, nor be `.` or `..`. Ids that
differ only in case are different ids. An id is never used as a file name.
"""

from __future__ import annotations

import re
import unicodedata

MAX_BYTES = 255

_FORBIDDEN = "/\\\"'`$();|&<>*?[]{}!"
_CHARACTER = rf"[^\s\x00-\x1f\x7f-\x9f{re.escape(_FORBIDDEN)}]"

# A fast test: 63 characters have at most 252 bytes. Longer or unusual ids are checked by `id_fault`.
PLAIN_ID = rf"(?!-|\.\.?(?:\s|$)){_CHARACTER}{{1,63}}"

_BAD_CHARACTER = re.compile(rf"(?!{_CHARACTER}).", re.DOTALL)


def id_fault(text: str) -> str:
    """What is wrong with an id. Empty if it is valid.

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
    """A character as shown in messages, so that invisible characters can be distinguished.

    >>> character_name("$"), character_name("\\0"), character_name("\\xa0")
    ("'$'", 'U+0000', 'U+00A0 (NO-BREAK SPACE)')
    """
    if character.isascii() and character.isprintable() and character != " ":
        return repr(character)
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({name})" if name else "")
