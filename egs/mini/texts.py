"""What is said in which split: the decks and patterns that its utterances are drawn from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from egs.mini.sentences import Deck, Draw, Language, sentence, word_row
from egs.mini.words import COURSES, UNSEEN_COURSE, Grammar, read_deck, read_grammar

Shares = Mapping[Language, float]  # how often an utterance of a language is drawn

SHARES: Mapping[str, Shares] = {
    "pool": {"zh": 0.4, "en": 0.2, "mixed": 0.4},
    "lectures": {"zh": 0.3, "en": 0.08, "mixed": 0.62},
    "talk": {"zh": 0.3, "en": 0.1, "mixed": 0.6},
    "read": {"zh": 1.0},
}


@dataclass(frozen=True)
class Texts:
    """A world to speak of: `sentences(split, course)` and `random_words` each draw one utterance."""

    sentences: Callable[[str, str], Draw]
    random_words: Draw


def scripted_texts() -> Texts:
    """The world of the preset `mini`."""
    grammars = {"": read_grammar("everyday"), "talk": read_grammar("everyday", "talk")}
    grammars["read"] = read_grammar("everyday", "read")
    for course in (*COURSES, UNSEEN_COURSE):
        grammars[course] = read_grammar("everyday", "lecture", f"courses/{course}")
    decks = Deck(read_deck("mandarin")), Deck(read_deck("english"))

    def sentences(split: str, course: str) -> Draw:
        manner = "lectures" if course else split.partition("_")[0]
        grammar = grammars[course or (manner if manner in grammars else "")]
        return functools.partial(_sentence, grammar, SHARES[manner])

    return Texts(sentences, functools.partial(_word_row, *decks, SHARES["pool"]))


def smoke_texts() -> Texts:
    """The world of the preset `smoke`: a dozen words in any order, everywhere."""
    words = read_deck("smoke")
    mandarin = Deck([word for word in words if not word.isascii()])
    english = Deck([word for word in words if word.isascii()])
    draw = functools.partial(_word_row, mandarin, english, SHARES["pool"])
    return Texts(lambda split, course: draw, draw)


def _sentence(grammar: Grammar, shares: Shares, rng: Random) -> str:
    return sentence(grammar, _drawn(shares, rng), rng)


def _word_row(mandarin: Deck, english: Deck, shares: Shares, rng: Random) -> str:
    return word_row(mandarin, english, _drawn(shares, rng), rng)


def _drawn(shares: Shares, rng: Random) -> Language:
    return rng.choices(list(shares), list(shares.values()))[0]
