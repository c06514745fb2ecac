"""Runs of Han have exactly the readings of pypinyin."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypinyin import Style, lazy_pinyin
from pypinyin.constants import PHRASES_DICT

from k2d.text.mandarin import is_read, polyphonic_pieces, read_run, readings
from k2d.text.phonemes import Phonemiser
from k2d.text.script import simplified

RUN = re.compile("[㐀-䶿一-鿿〇]+")
PHRASES = sorted(PHRASES_DICT)


def by_pypinyin(run):
    return "".join(lazy_pinyin(run, style=Style.BOPOMOFO)).translate(str.maketrans("", "", "ˊˇˋ˙"))


@pytest.fixture(scope="session")
def phonemiser():
    return Phonemiser()


@pytest.mark.parametrize(
    ("run", "bopomofo"),
    [
        ("嗯", "ㄣ"),  # other styles of pypinyin make it vanish
        ("长度", "ㄔㄤㄉㄨ"),
        ("校长", "ㄒㄧㄠㄓㄤ"),
        ("在银行", "ㄗㄞㄧㄣㄏㄤ"),
        ("银行行长", "ㄧㄣㄒㄧㄥㄒㄧㄥㄓㄤ"),  # pypinyin expects 银行行员 here, and then reads 银 alone
        ("〇", "ㄌㄧㄥ"),
        ("目的的确", "ㄇㄨㄉㄧㄉㄧㄑㄩㄝ"),
    ],
)
def test_polyphones(run, bopomofo):
    assert read_run(run) == bopomofo == by_pypinyin(run)


@pytest.mark.slow
def test_it_equals_pypinyin_for_all_phrases(phonemiser):
    wrong = [phrase for phrase in PHRASES[::7] if phonemiser.sounds(list(phrase)) != by_pypinyin(phrase)]
    assert wrong == []
    assert len(PHRASES) > 40_000


@pytest.mark.slow
def test_it_equals_pypinyin_for_runs_of_phrases_and_their_pieces(phonemiser):
    """In pieces of phrases, the matching fails and starts again, or reaches the end of a run."""
    rng = random.Random(4)
    polyphonic = sorted({phrase for phrase in PHRASES if polyphonic_pieces(phrase)})
    found = 0
    for _ in range(800):
        phrases = [rng.choice(polyphonic if rng.random() < 0.5 else PHRASES) for _ in range(rng.randint(1, 6))]
        run = "".join(phrase[: rng.randint(1, len(phrase))] for phrase in phrases)
        expected = by_pypinyin(run)
        assert phonemiser.sounds(list(run)) == expected, run
        assert read_run(run) == expected, run
        found += bool(polyphonic_pieces(run))
    assert found > 400


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x3400, max_codepoint=0x2FFFF).filter(is_read), min_size=1))
def test_it_equals_pypinyin_for_any_run(phonemiser, run):
    assert read_run(run) == by_pypinyin(run)


@pytest.mark.slow
def test_it_equals_pypinyin_for_real_runs(phonemiser, lecture_lines):
    runs = sorted({run for line in lecture_lines for run in RUN.findall(line) + RUN.findall(simplified(line))})
    wrong = [run for run in runs if phonemiser.sounds(list(run)) != by_pypinyin(run)]
    assert wrong == []
    assert len(runs) > 1500


def test_pieces_are_short_and_end_with_the_run():
    assert polyphonic_pieces([*"这是长度"]) == [(2, 4)]
    assert polyphonic_pieces(["model", *"长度", "ひ", *"学生", "々", *"目的"]) == [(1, 3), (7, 9)]
    assert polyphonic_pieces(["长", "x", "度"]) == []
    assert polyphonic_pieces([]) == polyphonic_pieces(["长"]) == []


def test_every_reading_is_bopomofo_without_tones():
    symbols = {symbol for sound in readings().characters.values() for symbol in sound}
    assert symbols == {chr(code_point) for code_point in range(0x3105, 0x312A)}
