"""Distances between two opinions, worked out by hand, and properties for any texts."""

import json

import pytest
from growth import grows_linearly
from hypothesis import given, settings
from hypothesis import strategies as st
from made_distances import far

from k2d.config.load import settings_of
from k2d.config.schema import Select
from k2d.select.distances import Comparer
from k2d.select.metrics import Measuring, error_rate

COMPARER = Comparer(Measuring())

GOLDEN = [  # teacher, auxiliary, mixed errors, auxiliary's tokens
    ("繁體中文", "繁体中文", 0, 4),
    ("ＧＰＵ　１２", "gpu 12", 0, 2),
    ("don't", "don t", 0, 2),  # the normaliser parts them, on both sides
    ("圓周率是 3.14", "圓周率是 3 14", 0, 6),
    ("50%", "50", 0, 1),
    ("用 GPU 跑", "用 CPU 跑", 1, 3),
    ("嗯 我們走", "我們走", 1, 3),
    ("カラオケ", "", 1, 0),
    ("很好 😀", "很好", 0, 2),
    ("2021年", "2021 年", 0, 2),  # digits next to Han
    ("<0.00>so<1.20>我們<2.40>", "so 我們", 0, 3),  # marks part words, they do not glue them
    ("<0.00> hello<0.50>world <1.00>", "hello world", 0, 2),
    ("我們喜歡 machine learning", "我喜歡 machine earning 嗎", 3, 6),  # 們 lost, learning misheard, 嗎 invented
]


@pytest.mark.parametrize(("teacher", "auxiliary", "errors", "n_auxiliary"), GOLDEN)
def test_mixed_errors_worked_out_by_hand(teacher, auxiliary, errors, n_auxiliary):
    found = COMPARER.compare(teacher, auxiliary)
    assert found.n_b == n_auxiliary
    assert found["mer"] == (round(errors / n_auxiliary, 4) if n_auxiliary else 1.0)


def test_the_phoneme_distance_ignores_only_words_that_sound_alike():
    assert COMPARER.compare("他在", "她再")["per"] == 0.0
    # ㄊㄚ ㄗㄞ against ㄊㄚ ㄗㄠ: one of four
    assert COMPARER.compare("他在", "他早")["per"] == 0.25
    assert COMPARER.compare("嗯", "恩")["mer"] == 1.0  # and 嗯 has a sound, it does not vanish
    assert COMPARER.compare("嗯好", "好")["per"] > 0


@pytest.mark.slow
def test_an_unknown_english_word_counts_unless_it_is_dropped():
    assert COMPARER.compare("我用 zzyzx", "我用")["per"] > 0
    drop = Comparer(Measuring(out_of_vocabulary="drop"))
    assert drop.compare("我用 zzyzxqq", "我用")["per"] == 0.0  # the authors' way: an error on it is free


@pytest.mark.parametrize("nothing", ["", " ", "。，…", "<0.00> <30.00>", "<0.00> ！ <2.00>"])
def test_a_side_without_words_is_empty(nothing):
    assert COMPARER.compare(nothing, "好") == far(False, False, 0, 1, 1.0, 1.0)
    assert COMPARER.compare("好", nothing) == far(False, False, 1, 0, 1.0, 1.0)
    both = COMPARER.compare(nothing, "<1.00>")
    assert (both.n_a, both.n_b, both["mer"], both["per"], both["composite"]) == (0, 0, 0.0, 0.0, 0.0)


def test_an_empty_opinion_is_kept_or_dropped_by_an_option():
    kept = Comparer(Measuring(empty_validator_distance=0.0)).compare("好的", "")
    assert (kept["mer"], kept["per"], kept["composite"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("denominator", "expected"), [("validator", 1.0), ("teacher", 0.5), ("longer", 0.5)])
def test_the_denominator_is_an_option(denominator, expected):
    # 一二三四 against 一二: two errors over two, four and four tokens
    assert Comparer(Measuring(denominator=denominator)).compare("一二三四", "一二")["mer"] == expected


def test_script_is_an_option():
    assert Comparer(Measuring(script="none")).compare("體", "体")["mer"] == 1.0
    assert Comparer(Measuring(script="per_char")).compare("瞭解", "了解")["mer"] == 0.5
    assert COMPARER.compare("瞭解", "了解")["mer"] == 0.0


@pytest.mark.parametrize(
    ("loops_a", "loops_b", "per", "expected"),
    [
        (False, False, 0.3, 0.3),
        (False, False, 1.7, 1.0),  # never above 1
        (True, False, 0.0, 1.0),  # a looping teacher is always dropped
        (True, True, 0.0, 1.0),
        (False, True, 0.9, 0.0),  # a looping auxiliary never causes a drop
    ],
)
def test_the_composite_distance_follows_the_papers_formula(loops_a, loops_b, per, expected):
    assert far(loops_a, loops_b, 9, 9, 0.5, per)["composite"] == expected


def test_seven_repeats_against_five():
    found = COMPARER.compare("謝謝觀看。" * 7, "謝謝觀看。" * 5)
    assert (found.loops_a, found.loops_b) == (True, False)
    assert found["mer"] == 0.4  # 8 of 20
    assert found["composite"] == 1.0


def timed(*texts):
    """A label with timestamps around each text, as a teacher writes it."""
    return "".join(f"<{n}.00>{text}<{n + 1}.00>" for n, text in enumerate(texts))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("label", "expected"),
    [
        # "abcde abcde abcde abcde abcde abcde": "abcde " and " abcde" five times each; the ends have no space.
        (timed(*["abcde"] * 6), False),
        (timed(*["abcde"] * 7), True),  # six times each: a timestamp between two texts counts as a space
        (timed(*["我們很好嗎"] * 6), False),
        (timed(*["我們很好嗎"] * 7), True),
        (timed(*["謝謝觀看我們"] * 6), True),  # the 6-gram itself, six times
        (timed(*["謝謝觀看我們"] * 5), False),
        (
            timed(*["abcde."] * 6),
            True,
        ),  # the last full stop leaves a space: "abcde " six times
        (" <0.00> " + "abcde " * 6 + "<9.00> ", False),
    ],
)
def test_ngrams_are_counted_as_in_the_papers_code(label, expected):
    """Each timestamp becomes a space, spaces at the ends are removed, then texts are normalised and counted."""
    assert COMPARER.compare(label, "").loops_a is expected
    assert COMPARER.compare("", label).loops_b is expected


@settings(deadline=None)
@given(st.lists(st.text("ab 我。", max_size=8), max_size=9))
def test_timestamps_at_the_ends_make_no_difference(texts):
    inside = "<3.00>".join(texts).strip()
    assert COMPARER.compare(f"<0.00>{inside}<9.00>", "") == COMPARER.compare(inside, "")


@pytest.mark.slow
def test_the_work_grows_as_a_label_does():
    loop = "<0.00> " + "thank you very much 謝謝 " * 20_000
    assert COMPARER.compare(loop, "謝謝大家")["composite"] == 1.0
    assert COMPARER.compare(loop, "謝謝大家").loops_a
    for piece in ("thank you very much 謝謝 ", "我們今天來看一個新的例子"):
        assert grows_linearly(lambda n, piece=piece: COMPARER.compare(piece * n, "謝謝大家"), 50)


def test_the_defaults_equal_those_of_the_config():
    section = settings_of(Select())
    measuring = json.loads(json.dumps({name: getattr(Measuring(), name) for name in Measuring.__slots__}))
    assert measuring == {name: section[name] for name in measuring}
    assert len(measuring) == 8


def test_the_signature_contains_all_settings():
    plain = Comparer(Measuring()).signature
    for other in (
        Measuring(ngram=5),
        Measuring(ngram_count=4),
        Measuring(denominator="longer"),
        Measuring(empty_validator_distance=0.0),
        Measuring(script="none"),
        Measuring(out_of_vocabulary="drop"),
    ):
        assert Comparer(other).signature != plain


WORDS = st.lists(st.sampled_from([*"我你他她在再好的", " gpu ", " model ", " 3 ", "。", "<1.00>"]), max_size=25)


@settings(deadline=None)
@given(WORDS.map("".join), WORDS.map("".join))
def test_a_text_has_no_distance_to_itself_and_errors_are_symmetric(a, b):
    same, there, back = COMPARER.compare(a, a), COMPARER.compare(a, b), COMPARER.compare(b, a)
    assert (same["mer"], same["per"]) == (0.0, 0.0)
    if there.n_a and there.n_b:
        assert there["mer"] * there.n_b == pytest.approx(back["mer"] * back.n_b, abs=1e-2)
        least, most = abs(there.n_a - there.n_b), max(there.n_a, there.n_b)
        assert least / there.n_b - 1e-4 <= there["mer"] <= most / there.n_b + 1e-4


def edits(a: str, b: str) -> int:
    """The textbook's dynamic programme."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        left_up, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            left_up, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left_up + (x != y))
    return row[-1]


@given(st.text("abc", min_size=1, max_size=12), st.text("abc", min_size=1, max_size=12))
def test_the_error_rate_equals_the_textbook_algorithm(a, b):
    assert error_rate(a, b, Measuring()) == round(edits(a, b) / len(b), 4)


def test_a_pairs_distance_does_not_depend_on_other_pairs():
    pairs = [(teacher, auxiliary) for teacher, auxiliary, _, _ in GOLDEN]
    forward = Comparer(Measuring())
    backward = Comparer(Measuring())
    there = [forward.compare(*pair) for pair in pairs]
    assert there == [backward.compare(*pair) for pair in reversed(pairs)][::-1]
    assert there == [COMPARER.compare(*pair) for pair in pairs]
