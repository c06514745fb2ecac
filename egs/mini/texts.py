"""The texts of each split: the decks and patterns from which its utterances are drawn."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from egs.mini.sentences import Deck, Draw, Language, sentence, word_row
from egs.mini.words import COURSES, SLOT, UNSEEN_COURSE, Grammar, read_deck, read_grammar

Shares = Mapping[Language, float]  # the probability of each language

POOL_WORLDS: Mapping[str, float] = {"everyday": 0.4, "lectures": 0.3, "talk": 0.15, "read": 0.15}
"""The topics of the pool's sentences. They cover all topics, as the training data of a large teacher do."""

SHARES: Mapping[str, Shares] = {
    "pool": {"zh": 0.4, "en": 0.2, "mixed": 0.4},
    "lectures": {"zh": 0.3, "en": 0.08, "mixed": 0.62},
    "talk": {"zh": 0.3, "en": 0.1, "mixed": 0.6},
    "read": {"zh": 1.0},
}


@dataclass(frozen=True)
class Texts:
    """A source of texts: `sentences(split, course)` and `random_words` each draw one utterance."""

    sentences: Callable[[str, str], Draw]
    random_words: Draw


def scripted_texts() -> Texts:
    """The texts of the preset `mini`."""
    grammars = {"everyday": read_grammar("everyday"), "talk": read_grammar("everyday", "talk")}
    grammars["read"] = read_grammar("everyday", "read")
    for course in (*COURSES, UNSEEN_COURSE):
        grammars[course] = read_grammar("everyday", "lecture", f"courses/{course}")
    decks = Deck(read_deck("mandarin")), Deck(english_words())

    def sentences(split: str, course: str) -> Draw:
        manner = "lectures" if course else split.partition("_")[0]
        if manner == "pool":
            return functools.partial(_pool_sentence, grammars)
        return functools.partial(_sentence, grammars[course or manner], SHARES[manner])

    return Texts(sentences, functools.partial(_word_row, *decks, SHARES["pool"]))


@functools.cache
def english_words() -> tuple[str, ...]:
    """The deck of English words: the words of the file and of all courses except the unseen one."""
    known = dict.fromkeys(read_deck("english"))
    lowered = {word.lower() for word in known}
    for course in COURSES:
        grammar = read_grammar("everyday", "lecture", f"courses/{course}")
        for slot in ("term", "verb", "fact", "fact_en"):
            for word in re.findall("[A-Za-z]{3,}", SLOT.sub(" ", " ".join(grammar[slot]))):
                if word.lower() not in lowered:
                    lowered.add(word.lower())
                    known[word] = None
    return tuple(known)


def smoke_texts() -> Texts:
    """The texts of the preset `smoke`: a dozen words in any order, in all splits."""
    words = read_deck("smoke")
    mandarin = Deck([word for word in words if not word.isascii()])
    english = Deck([word for word in words if word.isascii()])
    draw = functools.partial(_word_row, mandarin, english, SHARES["pool"])
    return Texts(lambda split, course: draw, draw)


def _pool_sentence(grammars: Mapping[str, Grammar], rng: Random) -> str:
    world = rng.choices(list(POOL_WORLDS), list(POOL_WORLDS.values()))[0]
    shares = SHARES.get(world, SHARES["pool"])
    return _sentence(grammars[rng.choice(COURSES) if world == "lectures" else world], shares, rng)


def _sentence(grammar: Grammar, shares: Shares, rng: Random) -> str:
    return sentence(grammar, _drawn(shares, rng), rng)


def _word_row(mandarin: Deck, english: Deck, shares: Shares, rng: Random) -> str:
    return word_row(mandarin, english, _drawn(shares, rng), rng)


def _drawn(shares: Shares, rng: Random) -> Language:
    return rng.choices(list(shares), list(shares.values()))[0]
