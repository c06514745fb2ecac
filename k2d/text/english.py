"""The pronunciation of English words: IPA without stress, from gruut's lexicon, or from its model. Works offline."""

from __future__ import annotations

import logging
import re
import sqlite3
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from importlib.metadata import version
from importlib.resources import as_file, files

_LANGUAGE = "gruut_lang_en"
_STRESS = str.maketrans("", "", "ˈˌ")
_VOWEL = re.compile("[aeiouy]")
MAX_GUESSED_LETTERS = 40  # longer ones are not words, and the model's time grows with their length


def pronunciation(word: str) -> tuple[str, ...] | None:
    """The pronunciation of a word in lower case: the first one if there are several, None if the lexicon has none.

    >>> pronunciation("don't"), pronunciation("softmax")
    (('d', 'oʊ', 'n', 't'), None)
    """
    found = _lexicon().get(word)
    return None if found is None else _phonemes(found)


def spelt(letters: str) -> tuple[str, ...]:
    """Read the letters by their names.

    >>> spelt("gpu")
    ('d͡ʒ', 'i', 'p', 'i', 'j', 'u')
    """
    names = _letter_names()
    return tuple(phoneme for letter in letters for phoneme in names.get(letter, ()))


def looks_spelt(letters: str) -> bool:
    """Whether an unknown word is read letter by letter: at most three letters, or no vowel.

    >>> [looks_spelt(word) for word in ("gpu", "lstm", "bert")]
    [True, True, False]
    """
    return len(letters) <= 3 or not _VOWEL.search(letters)


def guess(word: str) -> tuple[str, ...]:
    """The pronunciation by gruut's model for a word that no lexicon has. It takes a millisecond or two."""
    return _phonemes(" ".join(_model()(word)))


def english_version() -> str:
    return f"gruut-{version('gruut')}-en-{version('gruut-lang-en')}"


def _phonemes(ipa: str) -> tuple[str, ...]:
    return tuple(ipa.translate(_STRESS).split())


@cache
def _lexicon() -> dict[str, str]:
    """The whole lexicon, loaded in a tenth of a second, because its table has no index over words."""
    return {word: ipa for word, ipa, _ in reversed(_rows())}


@cache
def _letter_names() -> dict[str, tuple[str, ...]]:
    letters = [(word, ipa, role) for word, ipa, role in reversed(_rows()) if len(word) == 1]
    letters.sort(key=lambda row: row[2] == "gruut:letter")
    return {letter: _phonemes(ipa) for letter, ipa, _ in letters}


def _rows() -> list[tuple[str, str, str]]:
    """Word, pronunciation and role. The usual pronunciation of a word is first."""
    with (
        as_file(files(_LANGUAGE) / "lexicon.db") as path,
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database,
    ):
        database.execute("PRAGMA temp_store = MEMORY")  # sorting then needs no space on a disk
        return database.execute("SELECT word, phonemes, role FROM word_phonemes ORDER BY pron_order").fetchall()


@cache
def _model() -> Callable[[str], Sequence[str]]:
    logging.getLogger("gruut").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from gruut.g2p import GraphemesToPhonemes
    with as_file(files(_LANGUAGE) / "g2p" / "model.crf") as path:
        return GraphemesToPhonemes(path)
