"""Make sentences from patterns, random word sequences and stammers. Pure functions of a seeded Random."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Literal

from egs.mini.words import SLOT, Grammar

Language = Literal["zh", "en", "mixed"]
Draw = Callable[[Random], str]  # returns one utterance

HAN = r"[\u4e00-\u9fff]"
LATIN = r"[A-Za-z]"
_BORDER = re.compile(f"(?<={HAN})(?={LATIN})|(?<={LATIN})(?={HAN})")

# Words that speakers repeat while they search for the next word.
_STAMMERED = re.compile(r"這個|那個|我們|所以|就是|因為|如果|大家|可以|\b(?:the|we|so|it|is|I)\b")
_HESITATIONS = ("呃", "嗯", "那個")

# eSpeak reads these as words ("tah" for TA); people spell them.
_SPELT = re.compile(r"\b(?:LED|NGO|TA|VIP|XYZ)\b")


def sentence(grammar: Grammar, start: str, rng: Random) -> str:
    """A sentence from the slot `start`. A slot's value is not repeated in it while others are left.

    >>> sentence({"zh": ("{who}跟{who}",), "who": ("我", "你")}, "zh", Random(1)) in {"我跟你", "你跟我"}
    True
    """
    used: set[str] = set()

    def fill(slot: str) -> str:
        chosen = rng.choice([p for p in grammar[slot] if p not in used] or grammar[slot])
        used.add(chosen)
        return SLOT.sub(lambda match: fill(match[1]), chosen)

    return spaced(fill(start))


def spaced(text: str) -> str:
    """Text with one space between Han and Latin characters, and no double spaces.

    >>> spaced("這個algorithm  很快")
    '這個 algorithm 很快'
    """
    return " ".join(_BORDER.sub(" ", text).split())


def language(text: str) -> Language:
    """The language of an utterance, determined by its letters.

    >>> language("你好"), language("so what"), language("好 so what")
    ('zh', 'en', 'mixed')
    """
    if not re.search(LATIN, text):
        return "zh"
    return "mixed" if re.search(HAN, text) else "en"


class Deck:
    """Words to draw from. Every word is dealt, in random order, before one is dealt again."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = tuple(words)
        self._left: list[str] = []

    def deal(self, rng: Random) -> str:
        if not self._left:
            self._left = list(self._words)
            rng.shuffle(self._left)
        return self._left.pop()


def word_row(mandarin: Deck, english: Deck, kind: Language, rng: Random) -> str:
    """A random word sequence, which a recogniser cannot guess from context."""
    n_words = rng.randint(4, 8)
    decks = {"zh": [mandarin], "en": [english], "mixed": [mandarin, english]}[kind]
    chosen = decks + [rng.choice(decks) for _ in range(n_words - len(decks))]
    rng.shuffle(chosen)
    words = [deck.deal(rng) for deck in chosen]
    return re.sub(f"(?<={HAN}) (?={HAN})", "", " ".join(words))


def stammer(text: str, rng: Random) -> str:
    """The text with one word repeated two or three times: a typical one, or else the first character or word.

    >>> stammer("這個 algorithm 很快", Random(0))
    '這個這個 algorithm 很快'
    """
    match = rng.choice(list(_STAMMERED.finditer(text)) or [re.match(rf"{HAN}|\S+", text)])
    assert match is not None, "an utterance has a first word"
    glue = "" if re.match(HAN, match[0]) else " "
    again = glue.join([match[0]] * rng.choice((2, 2, 3)))
    return text[: match.start()] + again + text[match.end() :]


def hesitate(text: str, rng: Random) -> str:
    """The text with a filler at its start, or before a word of the other language.

    >>> hesitate("很快", Random(0)) in {"呃 很快", "嗯 很快", "那個 很快"}
    True
    """
    places = [0, *(match.end() for match in re.finditer(f"(?<={HAN}) (?={LATIN})", text))]
    at = rng.choice(places)
    return f"{text[:at]}{rng.choice(_HESITATIONS)} {text[at:]}"


def spoken(text: str) -> str:
    """The text as it is passed to the synthesiser: a space between Han is a short pause, some acronyms are spelt.

    >>> spoken("好 那我們問 TA")
    '好，那我們問 T A'
    """
    rests = re.sub(f"(?<={HAN}) (?={HAN})", "，", text)
    return _SPELT.sub(lambda match: " ".join(match[0]), rests)


def expected_s(text: str, speed_wpm: float) -> float:
    """The approximate duration of the text. eSpeak at 175 words a minute takes 0.24 s for a Han character."""
    n_han = len(re.findall(HAN, text))
    n_letters = len(re.findall(LATIN, text))
    n_words = len(re.findall(f"{LATIN}+", text))
    return (0.24 * n_han + 0.055 * n_letters + 0.09 * n_words) * 175 / speed_wpm
