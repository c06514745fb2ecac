"""Numbers in words, compared with results by hand and with num2words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from num2words import num2words

from k2d.text.numerals import english_cardinal, mandarin_cardinal, read_numbers


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("3個", "三個"),
        ("2021年", "二零二一年"),
        ("2021個", "二千零二十一個"),
        ("共50%的", "共百分之五十的"),
        ("是3.14", "是三点一四"),
        ("１，２00元", "一，二百元"),  # a full-width comma is punctuation
        ("1,200元", "一千二百元"),
        ("電話0912345678", "電話零九一二三四五六七八"),
        ("123456789個", "一二三四五六七八九個"),
        ("gpt4 好", "gpt四 好"),
        ("3 models", " three  models"),
        ("50% off", " fifty percent  off"),
        ("1,000,000", " one million "),
        ("007", " zero zero seven "),
        ("pi is 3.14.", "pi is  three point one four ."),
        ("", ""),
    ],
)
def test_golden(text, read):
    assert read_numbers(text) == read


@settings(deadline=None)
@given(st.integers(0, 10**8 - 1))
def test_english_equals_num2words(number):
    expected = num2words(number).replace("-", " ").replace(",", "").replace(" and ", " ")
    assert " ".join(english_cardinal(number)) == expected


@pytest.mark.parametrize(
    ("number", "read"),
    [
        (10, "十"),
        (110, "一百一十"),
        (1_001, "一千零一"),
        (10_010, "一万零一十"),
        (10_999, "一万零九百九十九"),
        (11_000, "一万一千"),
        (99_999_999, "九千九百九十九万九千九百九十九"),
        (30_000_005, "三千万零五"),
        (20_003_000, "二千万三千"),
    ],
)
def test_mandarin(number, read):
    assert mandarin_cardinal(number) == read


_VALUES = {**{digit: value for value, digit in enumerate("零一二三四五六七八九")}, "十": 10, "百": 100, "千": 1000}


@given(st.integers(0, 10**8 - 1))
def test_the_mandarin_words_have_the_value_of_the_number(number):
    """The value is computed from the words: a digit is multiplied by the unit after it, and 十 alone counts once."""

    def value(words):
        total, digit = 0, 0
        for word in words:
            if _VALUES[word] < 10:
                digit = _VALUES[word]
            else:
                total, digit = total + (digit or 1) * _VALUES[word], 0
        return total + digit

    high, _, low = mandarin_cardinal(number).rpartition("万")
    assert value(high) * 10_000 + value(low) == number
