"""Plots show the values of the files, use the page's text colour, and are reproducible."""

import re

import pytest
from made_experiment import fabricate, write_distances, write_json, write_record, write_score

from k2d.report.figures import cost_figures, interval_figures, selection_figures
from k2d.report.plotting import INK, RULE


def captions(figures):
    return [figure.caption for figure in figures]


@pytest.mark.slow
def test_every_plot_of_a_whole_experiment(bench):
    fabricate(bench.exp, n_chunks=50, n_with_audio=2)
    found = bench.read()
    cost = list(cost_figures(found))
    assert captions(cost) == [
        "MER on in-domain (mini/lectures_test, mini/course_test, counts added up) against the number of parameters. "
        "Dashed: the teacher.",
        "MER on in-domain (mini/lectures_test, mini/course_test, counts added up) against speed. Dashed: the teacher.",
        "MER on out-of-domain (mini/read_test, mini/talk_test, counts added up) against the number of parameters. "
        "Dashed: the teacher.",
        "MER on out-of-domain (mini/read_test, mini/talk_test, counts added up) against speed. Dashed: the teacher.",
    ]
    assert all("k2d_composite-s1" in figure.svg and "teacher" in figure.svg for figure in cost)
    assert len(list(interval_figures(found))) == 5
    kept, histogram, reasons = selection_figures(found, 0.4)
    assert "threshold α" in kept.svg
    assert "Distances of 50 chunks" in histogram.caption
    assert "empty_teacher" in reasons.svg


def test_an_svg_can_be_put_into_a_page(bench):
    for system in ("teacher", "kd_all-s1"):
        write_score(bench.exp, system, "mini/read_test")
    (figure,) = interval_figures(bench.read())
    svg = figure.svg
    assert svg.startswith('<svg role="img" aria-label="MER on mini/read_test with 95 % interval over recordings."')
    assert "<text" in svg  # text stays text
    assert "currentColor" in svg
    assert INK not in svg
    assert RULE not in svg
    assert not re.search(r"<svg[^>]* (width|height)=", svg)
    assert not re.search(r'<g id="', svg)
    assert "<metadata" not in svg
    again = next(iter(interval_figures(bench.read())))
    assert again == figure


def test_a_system_without_all_sets_is_not_pooled(bench):
    for system, size in (("teacher", 3), ("kd_all-s1", 2), ("k2d_per-s1", 2)):
        write_json(bench.exp / "models" / system / "params.json", {"total": size * 1_000_000})
        write_score(bench.exp, system, "mini/read_test")
        if system != "kd_all-s1":
            write_score(bench.exp, system, "mini/talk_test")
    (figure,) = cost_figures(bench.read())
    assert "k2d_per-s1" in figure.svg
    assert "kd_all-s1" not in figure.svg


def test_scores_of_another_signature_are_in_no_plot(bench):
    write_score(bench.exp, "teacher", "mini/read_test", speed=0.4)
    write_score(bench.exp, "kd_all-s1", "mini/read_test", speed=0.1)
    write_score(bench.exp, "k2d_per-s1", "mini/read_test", speed=0.1, signature="other")
    found = bench.read()
    for figure in (*cost_figures(found), *interval_figures(found)):
        assert "kd_all-s1" in figure.svg
        assert "k2d_per-s1" not in figure.svg


def test_a_single_point_gives_no_plot(bench):
    write_score(bench.exp, "teacher", "mini/read_test", speed=0.4)
    assert list(cost_figures(bench.read())) == []


def test_without_intervals_no_plot_of_them(bench):
    write_score(bench.exp, "teacher", "mini/read_test", interval=None)
    assert list(interval_figures(bench.read())) == []


@pytest.mark.slow
@pytest.mark.parametrize("rows", [[], [("lab/a/c1", "r1", "5.0", 1, 0, 9, 0, "31.0000", "40.0000", "1.0000")]])
def test_extreme_distances_can_be_drawn(bench, rows):
    write_distances(bench.exp, rows)
    assert len(list(selection_figures(bench.read(), 0.4))) == (2 if rows else 0)


def test_a_method_that_kept_nothing_can_be_drawn(bench):
    write_record(bench.exp, "k2d_mer", kept={"chunks": 0, "hours": 0.0}, dropped={})
    (figure,) = selection_figures(bench.read(), 0.4)
    assert "k2d_mer" in figure.svg
