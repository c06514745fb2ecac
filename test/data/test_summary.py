"""Summaries: figures worked out by hand."""

import pytest

from k2d.data.rows import Utterance
from k2d.data.summary import Summary, Switching, code_mixing_index, render
from k2d.text.tokenise import mixed_tokens


@pytest.mark.parametrize(
    ("text", "cmi"),
    [
        ("我們用 GPU", 25.0),  # three Han, one English: 100 × (1 − 3/4)
        ("我們", 0.0),
        ("very good", 0.0),
        ("我 like", 50.0),
        ("我 3 like 4", 50.0),  # digits belong to no language
        ("", 0.0),
        ("123", 0.0),
    ],
)
def test_code_mixing_index(text, cmi):
    assert code_mixing_index(mixed_tokens(text)) == pytest.approx(cmi)


def test_switching_adds_up_over_utterances():
    found = Switching()
    for text in ("我 like 你", "我們", "OK", "這個 model 的 loss"):
        found.add(mixed_tokens(text))
    # switches: 2 + 0 + 0 + 3; gaps: 2 + 1 + 0 + 4
    assert (found.n_switches, found.n_gaps, found.n_mixed, found.n_utterances) == (5, 7, 2, 4)
    assert found.switch_rate == pytest.approx(5 / 7)
    assert found.mean_cmi == pytest.approx((100 / 3 + 40) / 4)
    assert found.mean_cmi_of_mixed == pytest.approx((100 / 3 + 40) / 2)


def test_the_histogram_has_each_utterance_once():
    found = Summary("x")
    for n, seconds in enumerate([0.5, 1.0, 1.1, 30.0, 30.1, 4000.0]):
        found.add(Utterance(f"u{n}", f"u{n}", "a.wav", "s"), seconds)
    assert found.lengths == [2, 1, 0, 0, 0, 1, 1, 0, 1]  # ≤1, ≤2, ≤5, ≤10, ≤20, ≤30, ≤60, ≤300, longer
    assert found.speech_s == pytest.approx(4062.7)


def test_courses_are_sorted_by_hours_and_shares_add_up():
    found = Summary("lectures", recordings_s=7200.0, seconds_by_course={"physics": 1800.0, "law": 5400.0})
    table = render([found], by_course=True).split("\n\n")[-1].splitlines()
    assert [line.split() for line in table[1:]] == [
        ["law", "lectures", "1.50", "75.0", "%"],
        ["physics", "lectures", "0.50", "25.0", "%"],
    ]
