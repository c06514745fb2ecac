"""The counts from an alignment: errors by language, at points of interest, and where the language changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from k2d.score.align import Alignment, Edit, counted, edits
from k2d.score.rates import ErrorRate
from k2d.text.tokenise import Script, Token

Part = Literal["mixed", "zh", "en", "other"]
PARTS: tuple[Part, ...] = ("mixed", "zh", "en", "other")

Measure = Literal["mer", "zh_split", "en_split", "zh_joint", "en_joint", "pier", "switch"]
MEASURES: tuple[Measure, ...] = ("mer", "zh_split", "en_split", "zh_joint", "en_joint", "pier", "switch")

_LANGUAGES = (Script.ZH, Script.EN)


def part_of(ref: Sequence[Token]) -> Part:
    """The part of a test set to which an utterance belongs, by its reference. `other` has neither Mandarin nor English.

    >>> from k2d.text.tokenise import mixed_tokens
    >>> [part_of(mixed_tokens(text)) for text in ("跑 model", "跑 3 個", "run 3", "3", "")]
    ['mixed', 'zh', 'en', 'other', 'other']
    """
    scripts = {token.script for token in ref}
    if Script.ZH in scripts:
        return "mixed" if Script.EN in scripts else "zh"
    return "en" if Script.EN in scripts else "other"


def measures(alignment: Alignment) -> dict[Measure, ErrorRate]:
    """Every figure of one utterance."""
    joint = joint_rates(alignment)
    return {
        "mer": alignment.counts,
        "zh_split": split_rate(alignment, Script.ZH),
        "en_split": split_rate(alignment, Script.EN),
        "zh_joint": joint[Script.ZH],
        "en_joint": joint[Script.EN],
        "pier": pier(alignment),
        "switch": switch_rate(alignment),
    }


def split_rate(alignment: Alignment, script: Script) -> ErrorRate:
    """Errors of one language alone: both sides are filtered, then aligned (the paper's way). Numbers are in neither.

    A word that was recognised in the other language is a deletion here and an insertion there, so the two languages do
    not add up to the MER.
    """
    # Aligned again, because without the other language another alignment may have the lowest cost.
    ref = [token.text for token in alignment.ref if token.script is script]
    hyp = [token.text for token in alignment.hyp if token.script is script]
    return counted(len(ref), edits(ref, hyp))


def joint_rates(alignment: Alignment) -> dict[Script, ErrorRate]:
    """Errors by language in one alignment. Mandarin and English add up to the MER.

    Correct, substituted and deleted tokens count for the reference token's language, inserted ones for their own.
    """
    # Every edit belongs to exactly one language, so that both add up to the MER. Inserted tokens have no reference
    # token, so they belong to their own language.
    ref, hyp = languages(alignment.ref), languages(alignment.hyp)
    if not alignment.edits:
        return {script: ErrorRate(ref.count(script)) for script in _LANGUAGES}

    def owner(edit: Edit) -> Script:
        return hyp[edit.hyp_at] if edit.kind == "i" else ref[edit.ref_at]

    return {
        script: counted(ref.count(script), [edit for edit in alignment.edits if owner(edit) is script])
        for script in _LANGUAGES
    }


def languages(tokens: Sequence[Token]) -> list[Script]:
    """The language of every token. Numbers and words of other scripts get the language of the token to their left.

    At the start of an utterance they get that of the first token that has one. If no token has one, it is Mandarin, the
    matrix language.

    >>> from k2d.text.tokenise import mixed_tokens
    >>> [script.value for script in languages(mixed_tokens("3 個 gpu 4"))]
    ['zh', 'zh', 'en', 'en']
    """
    found = [token.script for token in tokens]
    if all(script in _LANGUAGES for script in found):
        return found
    last = next((script for script in found if script in _LANGUAGES), Script.ZH)
    for at, script in enumerate(found):
        last = script if script in _LANGUAGES else last
        found[at] = last
    return found


def pier(alignment: Alignment) -> ErrorRate:
    """Errors at points of interest (PIER): the English words of utterances that also have Mandarin.

    An insertion counts if the reference token after it is such a word or, at the end, if the last one is. Unlike in the
    published tool, the aligned tokens decide, and digits stay digits.
    """
    if part_of(alignment.ref) != "mixed":
        return ErrorRate()
    # An insertion is before a reference token. After the last token there is none, so it counts for the last one.
    at_word = [token.script is Script.EN for token in alignment.ref]
    return _counted_where(alignment, at_word, [*at_word, at_word[-1]])


def switch_rate(alignment: Alignment) -> ErrorRate:
    """Errors at the tokens on either side of a change of language, and insertions between the two.

    Numbers and words of other scripts are skipped: in `gpu 3 個` the change is between `gpu` and `個`.
    """
    if part_of(alignment.ref) != "mixed":
        return ErrorRate()
    n = len(alignment.ref)
    at_switch, in_gap = [False] * n, [False] * (n + 1)
    spoken = [at for at, token in enumerate(alignment.ref) if token.script in _LANGUAGES]
    for left, right in pairwise(spoken):
        if alignment.ref[left].script is not alignment.ref[right].script:
            at_switch[left] = at_switch[right] = True
            # All gaps between the two tokens, because numbers between them do not move the change of language.
            in_gap[left + 1 : right + 1] = [True] * (right - left)
    return _counted_where(alignment, at_switch, in_gap)


def _counted_where(alignment: Alignment, at_token: Sequence[bool], before_token: Sequence[bool]) -> ErrorRate:
    """The edits at chosen reference tokens, and the insertions before chosen ones (the last one: at the end)."""
    chosen = [e for e in alignment.edits if (before_token if e.kind == "i" else at_token)[e.ref_at]]
    return counted(sum(at_token), chosen)
