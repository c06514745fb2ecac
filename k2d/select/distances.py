"""How far two opinions on what was said lie apart: in mixed tokens (MER) and in phonemes (PER).

Each text is normalised, cut into tokens and turned into phonemes once. Each phoneme is a character of its own, so that
the edit distance runs on strings; of tokens it takes the hashes, which Python keeps once the phonemes were looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import rapidfuzz
from rapidfuzz.distance import Levenshtein

from k2d.core.layout import PROJECT_ROOT
from k2d.select.loops import ngram_loops
from k2d.select.tsv import DECIMALS, Distances
from k2d.text.normalise import Normaliser
from k2d.text.phonemes import Phonemiser
from k2d.text.timestamps import strip_timestamps
from k2d.text.tokenise import token_texts

VERSION = 2
"""Raised when the same texts would give other distances."""
WHAT_IS_NEW = "timestamps at the ends of a text leave no space for the n-gram test to count"
"""In this version, for those who have distances of the one before."""

Denominator = Literal["validator", "teacher", "longer"]


@dataclass(frozen=True, slots=True)
class Measuring:
    """All that decides a distance. The defaults are the config's section `select`."""

    ngram: int = 6
    ngram_count: int = 5
    denominator: Denominator = "validator"
    empty_validator_distance: float = 1.0
    script: Literal["t2s", "per_char", "none"] = "t2s"
    out_of_vocabulary: Literal["letters", "drop"] = "letters"
    steps: tuple[str, ...] = ()
    lexicon: str | None = None


class Opinion(NamedTuple):
    """One side, ready to be compared; a character stands for each phoneme."""

    loops: bool
    tokens: list[str]
    phonemes: str


class Comparer:
    """Measures pairs of texts. Keeps what it has learnt of words, so one is made for many pairs."""

    def __init__(self, measuring: Measuring, cache: Path | None = None) -> None:
        self.measuring = measuring
        self.normalise = Normaliser(script=measuring.script, steps=measuring.steps)
        lexicon = PROJECT_ROOT / measuring.lexicon if measuring.lexicon else None
        self._phonemiser = Phonemiser(measuring.out_of_vocabulary, lexicon, cache)

    @property
    def signature(self) -> str:
        """Everything that decides the distances, with its version, in a line."""
        m = self.measuring
        return "|".join(
            [
                f"k2d-select:{VERSION}",
                f"norm:{self.normalise.signature}",
                "tok:default",
                f"phon:{self._phonemiser.signature}",
                f"loop:{m.ngram}-gram>{m.ngram_count}",
                f"dist:rapidfuzz-{rapidfuzz.__version__}/{m.denominator}",
                f"empty:{m.empty_validator_distance:g}",
            ]
        )

    def compare(self, teacher: str, auxiliary: str) -> Distances:
        """The distances of two texts as they were written, timestamps and all."""
        a = self._opinion(teacher)
        b = a if auxiliary == teacher else self._opinion(auxiliary)
        mer = error_rate(a.tokens, b.tokens, self.measuring)
        per = error_rate(a.phonemes, b.phonemes, self.measuring)
        return Distances(a.loops, b.loops, len(a.tokens), len(b.tokens), mer, per)

    def _opinion(self, text: str) -> Opinion:
        """As the paper's code: timestamps become spaces, both ends are trimmed, and only then is the text normalised.

        So an n-gram may reach from one segment into the next, and punctuation at an end still leaves a space there.
        """
        text = self.normalise(strip_timestamps(text).strip())
        tokens = token_texts(text)
        loops = ngram_loops(text, self.measuring.ngram, self.measuring.ngram_count)
        return Opinion(loops, tokens, self._phonemiser.sounds(tokens))


def error_rate(teacher: Sequence[str], auxiliary: Sequence[str], measuring: Measuring) -> float:
    """Edit distance as a share of one's length, in the decimals that are kept.

    >>> error_rate("abcd", "abxyz", Measuring()), error_rate("abcd", "abxyz", Measuring(denominator="teacher"))
    (0.6, 0.75)
    >>> error_rate("", "", Measuring()), error_rate("ab", "", Measuring()), error_rate("", "ab", Measuring())
    (0.0, 1.0, 1.0)
    """
    if teacher == auxiliary:
        return 0.0
    if not auxiliary:
        return measuring.empty_validator_distance
    if not teacher:
        return 1.0
    lengths = {"validator": len(auxiliary), "teacher": len(teacher), "longer": max(len(teacher), len(auxiliary))}
    return round(Levenshtein.distance(teacher, auxiliary) / lengths[measuring.denominator], DECIMALS)
