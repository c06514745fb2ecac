"""Find loops: a recogniser repeats the same text. They are found by character n-grams, including spaces."""

from __future__ import annotations

from collections import Counter

import numpy as np

from k2d.config.schema import Select

# From the paper's evaluation, which counts repetitions in another way than its selection.
_REPETITION_LENGTH = 6
_REPETITION_COUNT = 5
_REPETITION_WINDOW = 100

_WINDOW = 4  # UTF-16 units in a 64-bit number
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, so that different windows get different numbers
_UINT64 = np.dtype("<u8")


def ngram_loops(text: str, n: int = Select.ngram, count: int = Select.ngram_count) -> bool:
    """Whether one n-gram of characters occurs more than `count` times, including overlaps.

    >>> ngram_loops("so good" * 6), ngram_loops("so good" * 5)
    (True, False)
    """
    n_grams = len(text) - n + 1
    if n_grams <= count or not _may_loop(text, n, count):
        return False
    return max(Counter(text[start : start + n] for start in range(n_grams)).values()) > count


def count_repetitions(text: str) -> int:
    """How often a character 6-gram reaches 5 occurrences, counted as in the paper's evaluation.

    Counting starts again after each find, and every 100 characters.

    >>> count_repetitions("謝謝觀看" * 10), count_repetitions("謝謝觀看我們的影片")
    (2, 0)
    """
    n_found = 0
    seen: Counter[str] = Counter()
    for start in range(len(text) - _REPETITION_LENGTH + 1):
        if start % _REPETITION_WINDOW == 0:
            seen.clear()
        ngram = text[start : start + _REPETITION_LENGTH]
        seen[ngram] += 1
        if seen[ngram] == _REPETITION_COUNT:
            n_found += 1
            seen.clear()
    return n_found


def _may_loop(text: str, n: int, count: int) -> bool:
    """False if no n-gram can occur so often. This is six times as fast as counting, and nearly always the answer.

    Each n-gram becomes a 64-bit hash of the windows that cover it. After sorting, a hash that occurs more than `count`
    times is equal to the one `count` places later.
    """
    units = text.encode("utf-16-le", "surrogatepass")
    if n < _WINDOW or len(units) != 2 * len(text):  # too short for a window, or characters of two units
        return True
    shape = (len(text) - n + 1,)
    hashes = np.ndarray(shape, _UINT64, units, 0, (2,)) * _MULTIPLIER
    for start in (*range(_WINDOW, n - _WINDOW, _WINDOW), n - _WINDOW):
        hashes += np.ndarray(shape, _UINT64, units, 2 * start, (2,))
        hashes *= _MULTIPLIER
    hashes.sort()
    return bool((hashes[count:] == hashes[:-count]).any())
