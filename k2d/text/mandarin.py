"""The pronunciation of Han characters: Bopomofo without tones, equal to pypinyin's for whole runs, but much faster.

pypinyin splits a run into phrases of its dictionary by forward maximum matching. A phrase determines how its polyphonic
characters are read (长 in 长度). Few phrases read a character differently than it is read alone. So each character is
looked up alone. Only around a pair of characters from such a phrase is the run split into phrases: as far to both sides
as neighbours are neighbours in some phrase, because no phrase reaches further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import compress, count
from operator import add

_TONES = str.maketrans("", "", "ˊˇˋ˙")


@dataclass(frozen=True)
class Readings:
    """pypinyin's dictionaries, in Bopomofo. One symbol is one phoneme."""

    characters: Mapping[str, str]
    phrases: Mapping[str, str]
    prefixes: Set[str]
    """Every start of a phrase, of two characters or more."""
    joined_pairs: Set[str]
    """Pairs of characters that are neighbours in some phrase."""
    telling_pairs: Set[str]
    """Neighbours in a phrase with another reading, at the character with that reading."""


@cache
def readings() -> Readings:
    """Load the dictionaries once, which takes a third of a second."""
    from pypinyin.constants import PHRASES_DICT, PINYIN_DICT

    characters = {
        chr(code_point): _bopomofo(pinyin.partition(",")[0])
        for code_point, pinyin in PINYIN_DICT.items()
        if is_read(chr(code_point))
    }
    syllables = {phrase: [_bopomofo(first) for first, *_ in PHRASES_DICT[phrase]] for phrase in PHRASES_DICT}
    telling = {pair for phrase, sounds in syllables.items() for pair in _telling(phrase, sounds, characters)}
    prefixes = {phrase[:end] for phrase in syllables for end in range(2, len(phrase) + 1)}
    joined = {phrase[i : i + 2] for phrase in syllables for i in range(len(phrase) - 1)}
    return Readings(characters, {p: "".join(sounds) for p, sounds in syllables.items()}, prefixes, joined, telling)


def is_read(character: str) -> bool:
    """Whether pypinyin treats a character as Han: 〇 is, 々 is not."""
    return _han().match(character) is not None


def polyphonic_pieces(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """The start and end of pieces of text that may contain a phrase with another reading.

    >>> polyphonic_pieces([*"学生", "say", *"这是长度", "ok"])
    [(5, 7)]
    """
    tells = readings().telling_pairs.__contains__
    pieces: list[tuple[int, int]] = []
    for i in compress(count(), map(tells, map(add, tokens, tokens[1:]))):  # no loop in Python over all the tokens
        if not pieces or i >= pieces[-1][1]:
            pieces.append(_piece_around(tokens, i))
    return pieces


def read_piece(tokens: Sequence[str], start: int, end: int) -> str:
    """The Bopomofo of a piece of a text, split into phrases.

    >>> read_piece([*"学生", "say", *"这是长度", "ok"], 5, 7)
    'ㄔㄤㄉㄨ'
    """
    ends_run = end == len(tokens) or not _is_han(tokens[end])
    return read_run("".join(tokens[start:end]), ends_run=ends_run)


def read_run(run: str, *, ends_run: bool = True) -> str:
    """The Bopomofo of a run of Han, or of a piece that may be followed by more Han.

    >>> read_run("校长"), read_run("长度")
    ('ㄒㄧㄠㄓㄤ', 'ㄔㄤㄉㄨ')
    """
    book = readings()
    sounds, start = [], 0
    while start < len(run):
        end = start + 2
        while run[start:end] in book.prefixes and end <= len(run):
            end += 1
        end -= 1
        phrase = book.phrases.get(run[start:end])
        if phrase is None:
            # As in pypinyin: an incomplete phrase is one character, but at a run's end each of its characters.
            end = end if ends_run and end == len(run) else start + 1
            phrase = "".join(book.characters.get(character, character) for character in run[start:end])
        sounds.append(phrase)
        start = end
    return "".join(sounds)


def mandarin_version() -> str:
    return f"pypinyin-{version('pypinyin')}"


def _piece_around(tokens: Sequence[str], index: int) -> tuple[int, int]:
    joined = readings().joined_pairs
    start, end = index, index + 2
    while start > 0 and tokens[start - 1] + tokens[start] in joined:
        start -= 1
    while end < len(tokens) and tokens[end - 1] + tokens[end] in joined:
        end += 1
    return start, end


def _is_han(token: str) -> bool:
    return token in readings().characters or (len(token) == 1 and is_read(token))


def _telling(phrase: str, sounds: Sequence[str], characters: Mapping[str, str]) -> list[str]:
    """For each character that the phrase reads differently: the character with a neighbour."""
    other = [i for i, sound in enumerate(sounds) if characters.get(phrase[i]) != sound]
    return [phrase[i : i + 2] if i + 1 < len(phrase) else phrase[i - 1 :] for i in other]


@cache
def _han() -> re.Pattern[str]:
    from pypinyin.constants import RE_HANS

    pattern: re.Pattern[str] = RE_HANS
    return pattern


@cache
def _bopomofo(pinyin: str) -> str:
    from pypinyin import Style
    from pypinyin.style import convert

    return convert(pinyin, Style.BOPOMOFO, strict=True, default=pinyin).translate(_TONES)
