"""The kinds of errors in a label: wrong characters that sound alike, terms in the other language, text left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from k2d.score.align import Alignment
from k2d.text.mandarin import readings
from k2d.text.tokenise import Script, Token

HOMOPHONE, OTHER_CHARACTER, OTHER_WORD = "homophone", "other character", "other word"
OTHER_LANGUAGE, LEFT_OUT, ADDED, IN_LOOP = "other language", "left out", "added", "in a loop"
KINDS: Mapping[str, str] = {
    HOMOPHONE: "a Han character of the same sound, tones aside",
    OTHER_CHARACTER: "a Han character of another sound",
    OTHER_WORD: "another English word or number",
    OTHER_LANGUAGE: "Mandarin for an English word, or the reverse",
    LEFT_OUT: "no word of the label is aligned with it",
    ADDED: "a word that was not spoken",
    IN_LOOP: "any error of a label that loops",
}


def kinds_of(alignment: Alignment, *, loops: bool) -> Counter[str]:
    """How many errors of each kind a label has. They add up to its errors.

    >>> from k2d.score.align import align
    >>> from k2d.text.tokenise import mixed_tokens
    >>> found = kinds_of(align(mixed_tokens("今 天 用 protein 講"), mixed_tokens("金 天 不 蛋 講 好")), loops=False)
    >>> sorted(found.items())
    [('added', 1), ('homophone', 1), ('other character', 1), ('other language', 1)]
    """
    if loops:
        return Counter({IN_LOOP: len(alignment.edits)} if alignment.edits else {})
    single = {"d": LEFT_OUT, "i": ADDED}
    return Counter(
        single.get(edit.kind) or _substitution(alignment.ref[edit.ref_at], alignment.hyp[edit.hyp_at])
        for edit in alignment.edits
    )


def _substitution(ref: Token, hyp: Token) -> str:
    if (ref.script is Script.ZH) != (hyp.script is Script.ZH):
        return OTHER_LANGUAGE
    if ref.script is not Script.ZH:
        return OTHER_WORD
    sound = readings().characters.get(ref.text)
    return HOMOPHONE if sound and sound == readings().characters.get(hyp.text) else OTHER_CHARACTER
