"""The alignment: its cost, its edits, and how ties are resolved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.score.align import align, columns, edits
from k2d.score.rates import ErrorRate
from k2d.text.tokenise import mixed_tokens

WORDS = st.lists(st.sampled_from(["我", "你", "gpu", "run", "3"]), max_size=12)


def tokens(words):
    return mixed_tokens(" ".join(words))


def plain_distance(a, b):
    """The textbook recursion, as an oracle."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
    return row[-1]


@pytest.mark.parametrize(
    ("ref", "hyp", "expected"),
    [
        ("我 用 gpu", "我 用 gpu", ErrorRate(3)),
        ("我 用 gpu", "我 用 cpu", ErrorRate(3, s=1)),
        ("我 用 gpu", "我 gpu", ErrorRate(3, d=1)),
        ("我 用 gpu", "我 們 用 gpu", ErrorRate(3, i=1)),
        ("我 用 gpu", "", ErrorRate(3, d=3)),
        ("", "我 用 gpu", ErrorRate(0, i=3)),
        ("", "", ErrorRate(0)),
        ("一 二 三 四", "二 三 四 五 六", ErrorRate(4, d=1, i=2)),
    ],
)
def test_counts_worked_out_by_hand(ref, hyp, expected):
    assert align(mixed_tokens(ref), mixed_tokens(hyp)).counts == expected


@pytest.mark.parametrize(
    ("ref", "hyp", "kinds"),
    [
        ("ab", "ba", "id"),  # not two substitutions
        ("ab", "x", "sd"),
        ("x", "ab", "is"),
        ("aa", "a", "d"),
        ("abcd", "xyz", "sssd"),
    ],
)
def test_ties_are_resolved_as_documented(ref, hyp, kinds):
    assert "".join(edit.kind for edit in edits(list(ref), list(hyp))) == kinds


@given(WORDS, WORDS)
def test_it_is_a_cheapest_alignment_and_its_columns_give_both_sides_back(ref, hyp):
    alignment = align(tokens(ref), tokens(hyp))
    assert alignment.counts.errors == plain_distance(ref, hyp)
    found = columns(alignment)
    assert [c.ref for c in found if c.ref is not None] == ref
    assert [c.hyp for c in found if c.hyp is not None] == hyp
    assert sum(c.ref != c.hyp for c in found) == alignment.counts.errors


@given(WORDS, WORDS)
def test_distance_to_itself_is_zero_and_totals_are_symmetric(a, b):
    assert edits(a, a) == []
    there, back = align(tokens(a), tokens(b)).counts, align(tokens(b), tokens(a)).counts
    assert there.errors == back.errors
    assert there.i - there.d == len(b) - len(a) == back.d - back.i


@given(WORDS, WORDS)
@pytest.mark.slow
def test_errors_are_bounded_by_the_longer_side_and_the_difference_of_lengths(a, b):
    counts = align(tokens(a), tokens(b)).counts
    assert abs(len(a) - len(b)) <= counts.errors <= max(len(a), len(b))
