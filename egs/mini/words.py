"""Read and check the word lists and sentence patterns under words/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import shown

FOLDER = Path(__file__).resolve().parent / "words"

COURSES = (
    "algorithms",
    "biology",
    "calculus",
    "circuits",
    "economics",
    "machine_learning",
    "networks",
    "operating_systems",
)
UNSEEN_COURSE = "statistics"

Grammar = Mapping[str, tuple[str, ...]]  # the values of each slot; the pattern "我要去{place}" has the slot `place`

SLOT = re.compile(r"\{(\w+)\}")


def read_deck(name: str) -> tuple[str, ...]:
    """The words of words/<name>.txt, which are separated by spaces.

    >>> read_deck("smoke")[:2]
    ('老師', '學校')
    """
    return tuple(word for line in _lines(FOLDER / f"{name}.txt") for word in line.split())


def read_grammar(*names: str) -> Grammar:
    """The patterns of several files: `[slot]`, then its values, one per line. A later file replaces a slot.

    >>> read_grammar("everyday")["season"]
    ('春天', '夏天', '秋天', '冬天')
    """
    grammar: dict[str, tuple[str, ...]] = {}
    for name in names:
        grammar |= _sections(FOLDER / f"{name}.txt")
    for slot, patterns in grammar.items():
        for unknown in {slot for pattern in patterns for slot in SLOT.findall(pattern)} - grammar.keys():
            raise K2DError(f"words/: [{slot}] names the slot {{{unknown}}}, which none of {', '.join(names)} has")
    return grammar


def _sections(path: Path) -> Grammar:
    sections: dict[str, list[str]] = {}
    for line in _lines(path):
        if line.startswith("["):
            slot = line.strip("[]")
            if slot in sections:
                raise K2DError(f"{shown(path)}: [{slot}] stands there twice; join the two")
            sections[slot] = []
        elif not sections:
            raise K2DError(f"{shown(path)}: {line!r} stands before the first [slot]; put it under one")
        else:
            sections[slot].append(line)
    return {slot: tuple(patterns) for slot, patterns in sections.items()}


def _lines(path: Path) -> list[str]:
    """The lines of a file without blank lines and comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
