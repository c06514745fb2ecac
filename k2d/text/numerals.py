"""Write digits as words: in Mandarin if a text contains Han, else in English. For comparing `3 個` with `三個`."""

from __future__ import annotations

import re

_NUMBER = re.compile(
    r"(?P<whole>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
    r"(?:\.(?P<decimals>[0-9]+))?(?:\s?(?P<percent>[%％]))?(?=(?P<year>\s?年)?)"
)
_FULL_WIDTH = str.maketrans("０１２３４５６７８９", "0123456789")
_HAN = re.compile("[㐀-䶿一-鿿]")
_HAN_DIGITS = "零一二三四五六七八九"
_ENGLISH_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TEENS = ["ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_MAX_CARDINAL_DIGITS = 8  # longer numbers are read digit by digit, like telephone numbers


def read_numbers(text: str) -> str:
    """Numbers as words. A year, a number that starts with 0 and a very long one are read digit by digit.

    >>> read_numbers("2021年有50%是3.14"), read_numbers("3 models")
    ('二零二一年有百分之五十是三点一四', ' three  models')
    """
    read = _in_mandarin if _HAN.search(text) else _in_english
    return _NUMBER.sub(read, text.translate(_FULL_WIDTH))


def _in_mandarin(number: re.Match[str]) -> str:
    digits = number["whole"].replace(",", "")
    is_year = number["year"] is not None and len(digits) == 4
    words = _spelt(digits) if is_year or _is_code(digits) else mandarin_cardinal(int(digits))
    if number["decimals"]:
        words += "点" + _spelt(number["decimals"])
    return "百分之" + words if number["percent"] else words


def _in_english(number: re.Match[str]) -> str:
    digits = number["whole"].replace(",", "")
    words = [_ENGLISH_DIGITS[int(d)] for d in digits] if _is_code(digits) else english_cardinal(int(digits))
    if number["decimals"]:
        words += ["point", *(_ENGLISH_DIGITS[int(d)] for d in number["decimals"])]
    if number["percent"]:
        words.append("percent")
    return f" {' '.join(words)} "


def _is_code(digits: str) -> bool:
    return len(digits) > _MAX_CARDINAL_DIGITS or (len(digits) > 1 and digits[0] == "0")


def _spelt(digits: str) -> str:
    return "".join(_HAN_DIGITS[int(digit)] for digit in digits)


def mandarin_cardinal(number: int) -> str:
    """Below 10⁸.

    >>> [mandarin_cardinal(n) for n in (0, 12, 20, 105, 1010, 20_000, 100_500)]
    ['零', '十二', '二十', '一百零五', '一千零一十', '二万', '十万零五百']
    """
    high, low = divmod(number, 10_000)
    if not high:
        words = _below_10_000(low) or "零"
    else:
        gap = "零" if 0 < low < 1_000 else ""
        words = f"{_below_10_000(high)}万{gap}{_below_10_000(low)}"
    return words.removeprefix("一") if words.startswith("一十") else words


def _below_10_000(number: int) -> str:
    placed = zip(_spelt(f"{number:04}"), ("千", "百", "十", ""), strict=True)
    words = "".join(digit if digit == "零" else digit + place for digit, place in placed)
    return re.sub("零+", "零", words).strip("零")


def english_cardinal(number: int) -> list[str]:
    """Below 10⁹.

    >>> [" ".join(english_cardinal(n)) for n in (0, 19, 42, 110, 2021)]
    ['zero', 'nineteen', 'forty two', 'one hundred ten', 'two thousand twenty one']
    """
    for size, name in ((1_000_000, "million"), (1_000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            return [*english_cardinal(number // size), name, *(english_cardinal(rest) if rest else [])]
    if number >= 20:
        return [_TENS[number // 10 - 2], *([_ENGLISH_DIGITS[number % 10]] if number % 10 else [])]
    return [_TEENS[number - 10] if number >= 10 else _ENGLISH_DIGITS[number]]
