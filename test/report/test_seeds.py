"""Means and intervals over seeds, worked out by hand."""

from made_experiment import write_score

from k2d.report.seed_tables import seeds_table


def test_two_seeds_by_hand(bench):
    """10 and 12 %: mean 11, deviation √2, half an interval 12.706 · √2 / √2."""
    for system, share in (("teacher", 0.2), ("kd_all-s1", 0.10), ("kd_all-s2", 0.12), ("k2d_per-s1", 0.3)):
        write_score(bench.exp, system, "mini/lectures_test", share)
    table = seeds_table(bench.read(), ["mini/lectures_test"], "by seeds")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["teacher", "1", "20.00"],
        ["kd_all", "2", "11.00 ± 12.71 (10.00 to 12.00)"],
    ]
    assert [row[2].best for row in table.rows] == [False, True]


def test_one_seed_gives_no_table(bench):
    write_score(bench.exp, "kd_all-s1", "mini/lectures_test", 0.1)
    assert seeds_table(bench.read(), ["mini/lectures_test"], "by seeds") is None
