"""The rules of controls: as many hours as another method, drawn at random or by a given rank."""

import numpy as np
import pytest
from made_distances import far

from k2d.select.chunk_row import ChunkRow
from k2d.select.controls import decisions, drawn

LABELLED, EMPTY = far(False, False, 9, 9, 0.0, 0.0), far(False, False, 0, 9, 1.0, 1.0)
ROWS = [ChunkRow(f"lab/train/c{number:03}", "r", 10.0, LABELLED) for number in range(100)]


def kept(rows, rank, wanted_s):
    found = list(decisions(lambda: iter(rows), rank, wanted_s, "not_drawn"))
    assert [each.id for each in found] == [row.id for row in rows]
    return {each.id for each in found if not each.reason}


@pytest.mark.parametrize(
    ("wanted_s", "n_kept"), [(0, 0), (4.9, 0), (5.1, 1), (250, 25), (254, 25), (256, 26), (2000, 100)]
)
def test_the_hours_match_the_request_to_half_a_chunk(wanted_s, n_kept):
    assert len(kept(ROWS, drawn(1), wanted_s)) == n_kept


def test_a_draw_depends_on_the_id_and_the_draw_alone():
    first = kept(ROWS, drawn(1), 500)
    assert kept(ROWS, drawn(1), 500) == first
    assert kept(list(reversed(ROWS)), drawn(1), 500) == first
    assert kept(ROWS, drawn(1), 300) < first
    assert 10 < len(kept(ROWS, drawn(2), 500) & first) < 40, "two draws of a half share about a quarter"


def test_draws_are_uniform():
    ranks = np.array([drawn(3)(row) for row in ROWS] + [drawn(4)(row) for row in ROWS])
    assert ((ranks >= 0) & (ranks < 1)).all()
    assert abs(ranks.mean() - 0.5) < 4 * (1 / 12 / len(ranks)) ** 0.5


def test_the_lowest_ranks_are_kept():
    rank = {row.id: number % 10 for number, row in enumerate(ROWS)}
    found = kept(ROWS, lambda row: rank[row.id], 250)
    assert {rank[key] for key in found} == {0, 1, 2}
    assert sum(rank[key] < 2 for key in found) == 20, "ties are broken among the last rank only"


def test_an_empty_label_is_never_kept_and_never_counted():
    rows = [*ROWS[:4], ROWS[4]._replace(distances=EMPTY)]
    found = {each.id[-4:]: each.reason for each in decisions(lambda: iter(rows), lambda _: 0.0, 1000, "true_error")}
    assert found == {"c000": "", "c001": "", "c002": "", "c003": "", "c004": "empty_teacher"}
