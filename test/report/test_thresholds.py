"""The share that each threshold would keep, and the chunks that are shown."""

from hypothesis import given
from hypothesis import strategies as st
from made_distances import far

from k2d.report.thresholds import summed_up
from k2d.select.chunk_row import ChunkRow


def chunk(key, mer=0.5, per=0.3, *, loops=(False, False), n=(10, 10), duration_s=3600.0):
    return ChunkRow(f"lab/train/{key}", "r1", duration_s, far(*loops, *n, mer, per))


def ids(found):
    return [row.chunk_id for row in found.worst]


def test_shares_are_of_hours_and_a_chunk_without_a_label_is_never_kept():
    rows = [chunk("a", 0.4, 0.1), chunk("b", 0.41, 0.1, duration_s=7200.0), chunk("c", 0.0, 0.0, n=(0, 0))]
    found = summed_up(rows, 5)
    assert (found.total_s, found.n_chunks, found.n_empty) == (4 * 3600.0, 3, 1)
    assert found.kept_share("mer", 0.4) == 0.25
    assert found.kept_share("mer", 0.9) == 0.75
    assert found.kept_share("per", 0.1) == 0.75


def test_loops_count_in_the_composite_as_in_the_paper():
    rows = [chunk("a", per=0.0, loops=(True, False)), chunk("b", per=0.9, loops=(False, True)), chunk("c", per=0.3)]
    found = summed_up(rows, 5)
    assert dict(found.seconds_at["composite"]) == {1.0: 3600.0, 0.0: 3600.0, 0.3: 3600.0}


def test_kinds_of_chunks_alternate_with_the_worst_of_each_first():
    rows = [chunk(f"t{n}", 5 + n, loops=(True, False)) for n in range(4)]
    rows += [chunk(f"n{n}", 1 + n) for n in range(4)]
    rows += [chunk("x", 0.9, loops=(False, True)), chunk("both", 9, loops=(True, True))]
    assert ids(summed_up(rows, 6)) == ["both", "x", "n3", "t3", "n2", "t2"]


def test_agreement_and_silence_are_not_listed():
    rows = [chunk("same", 0.0), chunk("silent", 1.0, n=(10, 0)), chunk("empty", 1.0, n=(0, 10))]
    assert ids(summed_up(rows, 5)) == []


def test_zero_examples_gives_none():
    assert ids(summed_up([chunk("a"), chunk("b")], 0)) == []


def test_an_empty_table_gives_nothing():
    found = summed_up([], 5)
    assert found.kept_share("mer", 0.5) == 0.0


@given(st.lists(st.integers(0, 30_000), max_size=30), st.integers(0, 8), st.randoms())
def test_order_does_not_matter(distances, n_worst, chance):
    rows = [chunk(f"c{n:03d}", ten_thousandths / 10_000) for n, ten_thousandths in enumerate(distances)]
    shuffled = list(rows)
    chance.shuffle(shuffled)
    assert summed_up(rows, n_worst).worst == summed_up(shuffled, n_worst).worst
    assert summed_up(rows, n_worst).seconds_at == summed_up(shuffled, n_worst).seconds_at
