"""The phonemes of a text: Bopomofo for Han, IPA for English words. Works offline, and looks up each word once."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from k2d.text import english, mandarin
from k2d.text.g2p_cache import Guesses
from k2d.text.lexicon import read_lexicon

VERSION = 1
OutOfVocabulary = Literal["letters", "drop"]

_PARTS = re.compile("[a-z']+|.", re.DOTALL)
_DIGITS = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
_PRIVATE_USE = 0xF0000  # plane 15: no token contains its characters
_MAX_WORDS = 200_000  # kept in memory, about 50 MB; then the cache is cleared
_MAX_KEPT_CHARACTERS = 64


@dataclass(frozen=True)
class Phonemiser:
    """Convert tokens to phonemes. Neighbouring Han characters are read together, so that polyphones are right.

    With `letters`, a token that no lexicon has is read as follows: an English word by gruut's model, or letter by
    letter if it has at most three letters or no vowel; a digit in Mandarin; any other character as a phoneme of its
    own. With `drop`, as in the paper's code, it has no phonemes, so errors in it do not count.
    """

    out_of_vocabulary: OutOfVocabulary = "letters"
    lexicon: Path | None = None
    """The user's own pronunciations, which have priority over all others."""
    cache: Path | None = None
    """The folder for pronunciations by the model. None: every process computes them again."""

    def phonemes(self, tokens: Sequence[str]) -> list[str]:
        """The phonemes of a text's tokens, in order.

        >>> Phonemiser().phonemes([*"校长", "say", "3"])
        ['ㄒ', 'ㄧ', 'ㄠ', 'ㄓ', 'ㄤ', 's', 'eɪ', 'ㄙ', 'ㄢ']
        """
        names = self._alphabet.names
        return [names.get(character, character) for character in self.sounds(tokens)]

    def sounds(self, tokens: Sequence[str]) -> str:
        """The same as a string of one character per phoneme, for fast distances. Only valid with this object."""
        found = list(map(self._words.__getitem__, tokens))
        for start, end in mandarin.polyphonic_pieces(tokens):
            found[start:end] = [mandarin.read_piece(tokens, start, end), *[""] * (end - start - 1)]
        return "".join(found)

    @cached_property
    def unknown(self) -> set[str]:
        """The tokens so far that no lexicon has."""
        return set()

    @cached_property
    def signature(self) -> str:
        """Everything that determines the result, including versions, in a line."""
        parts = [f"phonemes-{VERSION}", mandarin.mandarin_version(), english.english_version(), self.out_of_vocabulary]
        if self.lexicon:
            parts.append(f"lexicon-{hashlib.sha256(self.lexicon.read_bytes()).hexdigest()[:8]}")
        return "+".join(parts)

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process gets the settings and makes its own cache."""
        return type(self), (self.out_of_vocabulary, self.lexicon, self.cache)

    @cached_property
    def _words(self) -> _Memo:
        return _Memo(self._sound)

    @cached_property
    def _alphabet(self) -> _Alphabet:
        return _Alphabet()

    @cached_property
    def _own(self) -> dict[str, tuple[str, ...]]:
        return read_lexicon(self.lexicon) if self.lexicon else {}

    @cached_property
    def _guesses(self) -> Guesses | None:
        return Guesses(self.cache, f"{english.english_version()}-{VERSION}") if self.cache else None

    def _sound(self, token: str) -> str:
        if (reading := mandarin.readings().characters.get(token)) is not None:
            return reading
        return self._alphabet.encode(self._pronounced(_plain(token)))

    def _pronounced(self, word: str) -> tuple[str, ...]:
        known = self._known(word)
        if known is not None:
            return known
        self.unknown.add(word)
        if self.out_of_vocabulary == "drop":
            return ()
        return tuple(phoneme for part in _PARTS.findall(word) for phoneme in self._part(part))

    def _known(self, word: str) -> tuple[str, ...] | None:
        own = self._own.get(word)
        return own if own is not None else english.pronunciation(word)

    def _part(self, part: str) -> tuple[str, ...]:
        """The phonemes of letters, or of one character that is not a letter."""
        if part in _DIGITS:
            return tuple(mandarin.readings().characters[_DIGITS[part]])
        if not part[0].isascii():
            return (part,)
        return self._known(part) or self._unknown_letters(part.replace("'", ""))

    def _unknown_letters(self, letters: str) -> tuple[str, ...]:
        if english.looks_spelt(letters) or len(letters) > english.MAX_GUESSED_LETTERS:
            return english.spelt(letters)
        kept = self._guesses.get(letters) if self._guesses else None
        if kept is not None:
            return kept
        guessed = english.guess(letters)
        if self._guesses:
            self._guesses.add(letters, guessed)
        return guessed


class _Memo(dict[str, str]):
    """A cache of earlier results. It is cleared when it is full."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, token: str) -> str:
        answer = self._ask(token)
        if len(self) >= _MAX_WORDS:
            self.clear()
        if len(token) <= _MAX_KEPT_CHARACTERS:
            self[token] = answer
        return answer


class _Alphabet:
    """One character for every phoneme: its own, or one of private use for a phoneme of several characters."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self._codes: dict[str, str] = {}

    def encode(self, phonemes: Sequence[str]) -> str:
        return "".join(phoneme if len(phoneme) == 1 else self._code(phoneme) for phoneme in phonemes)

    def _code(self, phoneme: str) -> str:
        code = self._codes.setdefault(phoneme, chr(_PRIVATE_USE + len(self._codes)))
        self.names[code] = phoneme
        return code


def _plain(token: str) -> str:
    """A token in the spelling of the lexicons: lower case, straight apostrophes, no accents."""
    decomposed = unicodedata.normalize("NFKD", token.lower().replace("’", "'"))
    return "".join(character for character in decomposed if unicodedata.category(character) != "Mn")
