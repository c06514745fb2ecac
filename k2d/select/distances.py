"""The distances between two texts of one chunk, by every metric.

Each text is normalised, split into tokens and converted to phonemes once. Each phoneme is one character, so that the
edit distance runs on strings. Tokens are compared by their hashes, which Python keeps after the phoneme look-up.
"""

from __future__ import annotations

from pathlib import Path

import rapidfuzz

from k2d.core.layout import PROJECT_ROOT
from k2d.select.chunk_row import PairDistances
from k2d.select.loops import ngram_loops
from k2d.select.metrics import Measuring, Opinion, measure
from k2d.text.normalise import Normaliser
from k2d.text.phonemes import Phonemiser
from k2d.text.timestamps import strip_timestamps
from k2d.text.tokenise import token_texts

VERSION = 2
"""Raise it if the same texts would give other distances."""
WHAT_IS_NEW = "timestamps at the ends of a text leave no space for the n-gram test to count"
"""The change in this version, for users with distances of the one before."""


class Comparer:
    """Measures pairs of texts. It caches words, so use one for many pairs."""

    def __init__(self, measuring: Measuring, cache: Path | None = None) -> None:
        self.measuring = measuring
        self.normalise = Normaliser(script=measuring.script, steps=measuring.steps)
        lexicon = PROJECT_ROOT / measuring.lexicon if measuring.lexicon else None
        self._phonemiser = Phonemiser(measuring.out_of_vocabulary, lexicon, cache)

    @property
    def signature(self) -> str:
        """Everything that determines the distances, including the version, in a line."""
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

    def compare(self, teacher: str, auxiliary: str) -> PairDistances:
        """The distances of two texts, which are given with their timestamps."""
        a = self._opinion(teacher)
        # Equal texts are common if models agree. Normalisation and phonemes cost far more than the comparison.
        b = a if auxiliary == teacher else self._opinion(auxiliary)
        return PairDistances(a.loops, b.loops, len(a.tokens), len(b.tokens), measure(a, b, self.measuring))

    def _opinion(self, text: str) -> Opinion:
        # The order is that of the paper's code: timestamps become spaces, both ends are trimmed, and only then is the
        # text normalised. So an n-gram may reach from one segment into the next, and punctuation at an end still leaves
        # a space there, which the n-gram test counts as a character.
        text = self.normalise(strip_timestamps(text).strip())
        tokens = token_texts(text)
        loops = ngram_loops(text, self.measuring.ngram, self.measuring.ngram_count)
        return Opinion(loops, tokens, self._phonemiser.sounds(tokens))
