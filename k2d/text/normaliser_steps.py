"""Optional steps of the normaliser, by name. They are off by default. Each changes scores and is in their signature."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

from k2d.core.errors import K2DError
from k2d.text.basic import replace_bracketed, single_spaced
from k2d.text.numerals import read_numbers

_ROUND = re.compile(r"[（(][^）)]*[）)]")
_SQUARE = re.compile(r"[【\[［〔{｛<＜][^】\]］〕}｝>＞]*[】\]］〕}｝>＞]")
_VARIANTS = str.maketrans("妳祢禰祂牠著喔", "你你你他它着哦")
_WHAT = re.compile("甚(?=[么麼麽])")
_IN_WORD = "[0-9A-Za-zÀ-ɏ']"
_FILLERS = re.compile(
    rf"[嗯呃唔欸诶誒]|(?<!{_IN_WORD})(?:uh+|um+|uhm+|er+|erm+|h+m+|m+hm+)(?!{_IN_WORD})", re.IGNORECASE
)


def _unchanged(text: str) -> str:
    return text


@dataclass(frozen=True)
class Step:
    """A function before `basic`, which sees punctuation, and one after it, before Han scripts are unified."""

    version: int
    before: Callable[[str], str] = _unchanged
    after: Callable[[str], str] = _unchanged


def without_tags(text: str) -> str:
    """Remove text in brackets, which is not speech: 【音樂】, （笑）, {laugh}. `basic` removes only ASCII ones.

    >>> without_tags("好（笑）的【音樂】")
    '好 的 '
    """
    text = replace_bracketed(_SQUARE, "】]］〕}｝>＞", text, " ")
    return replace_bracketed(_ROUND, "）)", text, " ")


def one_variant(text: str) -> str:
    """Unify spellings with the same sound.

    >>> one_variant("妳看著甚么")
    '你看着什么'
    """
    return _WHAT.sub("什", text.translate(_VARIANTS))


def without_fillers(text: str) -> str:
    """Remove hesitations, which some transcribers write and others do not.

    >>> without_fillers("嗯 um 我們 er 用 umbrella")
    ' 我們 用 umbrella'
    """
    return single_spaced(_FILLERS.sub(" ", text))


def _numbers_spaced(text: str) -> str:
    return single_spaced(read_numbers(text))


STEPS = {
    "tags": Step(1, before=without_tags),
    "numerals": Step(1, before=read_numbers, after=_numbers_spaced),  # again, because NFKC makes digits of ① and ²
    "variants": Step(1, after=one_variant),
    "fillers": Step(1, after=without_fillers),
}


def chosen_steps(names: tuple[str, ...]) -> list[Step]:
    """The steps with these names, in the order above, whatever the order of the names."""
    for name in names:
        if name not in STEPS:
            near = get_close_matches(name, STEPS, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(STEPS)}"
            raise K2DError(f"normaliser: unknown step {name!r}; {hint}")
    return [step for name, step in STEPS.items() if name in names]
