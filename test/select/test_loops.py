"""Loops by character n-grams, and the repetitions that are counted in the paper's evaluation."""

from collections import Counter

import pytest
from growth import grows_linearly
from hypothesis import given
from hypothesis import strategies as st

from k2d.select.loops import count_repetitions, ngram_loops

NINETY_SIX = "".join(map(chr, range(0x4E00, 0x4E60)))  # different characters


def loops_by_the_definition(text: str, n: int, count: int) -> bool:
    counts = Counter(text[i : i + n] for i in range(len(text) - n + 1))
    return any(times > count for times in counts.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("謝謝觀看", False),
        ("thank you " * 6, True),  # "thank " occurs six times
        ("thank you " * 5, False),  # "thank " five times, which is not more than five
        ("哈" * 11, True),  # 哈哈哈哈哈哈 begins at six places
        ("哈" * 10, False),  # at five
        ("我們很好 " * 7, True),
        ("我們很好 " * 5, False),
        ("ab" * 7, False),  # ababab begins at five places, bababa at four
        ("ab" * 8, True),  # at six
    ],
)
def test_more_than_five_of_one_6gram_is_a_loop(text, expected):
    assert ngram_loops(text) is expected


def test_a_period_of_six_needs_six_rounds():
    assert ngram_loops("abcdef" * 6)
    assert not ngram_loops("abcdef" * 5 + "abcde")


def test_spaces_are_characters():
    assert ngram_loops("a b c " * 6)  # "a b c " six times
    assert not ngram_loops("abc" * 6)  # without them: abcabc begins at five places


def test_length_and_count_are_options():
    text = "lalala la"
    assert ngram_loops(text, n=2, count=3)  # "la" occurs four times
    assert not ngram_loops(text, n=2, count=4)
    assert not ngram_loops(text, n=6, count=1)


# Few letters, of one and of two UTF-16 units, so that loops are common.
@given(st.text(alphabet="ab 我𠮷", max_size=60), st.integers(1, 9), st.integers(1, 6))
def test_it_equals_a_count_of_all_ngrams(text, n, count):
    assert ngram_loops(text, n, count) is loops_by_the_definition(text, n, count)


@given(st.text(max_size=30), st.integers(1, 12), st.text(max_size=30))
def test_it_equals_a_count_of_all_ngrams_for_any_repeated_text(around, times, unit):
    text = around + unit * times + around
    assert ngram_loops(text) is loops_by_the_definition(text, 6, 5)


def test_the_work_grows_as_a_loop_does():
    assert grows_linearly(lambda n: ngram_loops("謝謝 thank you " * n), 100)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("謝謝觀看", 0),
        ("abcdef" * 4, 0),
        ("abcdef" * 5, 1),  # abcdef for the fifth time at character 24
        ("abcdef" * 9, 1),  # counting starts afresh there: bcdefa comes four times more
        ("abcdef" * 10, 2),  # bcdefa for the fifth time at 25 + 24
        ("哈" * 14, 1),  # 哈哈哈哈哈哈 at places 0 to 4, and 5 to 8
        ("哈" * 15, 2),
        # 哈哈哈哈哈哈 at places 96 to 103: four before place 100, four after it, each counted afresh
        (NINETY_SIX + "哈" * 13, 0),
        (NINETY_SIX + "哈" * 14, 1),
    ],
)
def test_repetitions_as_the_paper_counts_them(text, expected):
    assert count_repetitions(text) == expected
