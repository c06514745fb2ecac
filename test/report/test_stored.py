"""Existing files are read, missing ones are named, and damaged ones are named and skipped."""

import pytest
from made_experiment import (
    METHODS,
    SETS,
    fabricate,
    record,
    score,
    study,
    write_json,
    write_record,
    write_score,
    write_speed,
)

from k2d.core.stamp import Recipe, write_stamp
from k2d.score.rates import ErrorRate


def test_for_an_empty_experiment_all_missing_parts_are_named(bench):
    found = bench.read()
    assert found.scores == {}
    students = ", ".join(f"{method}-s1" for method in METHODS)
    assert found.missing[0] == f"not there yet: scores of teacher, {students} (stage 12)"
    assert "not there yet: what the method kd_ngram kept (stage 8)" in found.missing
    assert "not there yet: distances to the auxiliary base (stage 8)" in found.missing
    assert "not there yet: the validator study of base (stage 12, if the truth is known)" in found.missing
    assert len(found.missing) == 1 + 5 + 2


@pytest.mark.slow
def test_a_complete_experiment_lacks_nothing_and_follows_the_order_of_the_config(bench):
    fabricate(bench.exp, n_chunks=20, n_with_audio=6)
    found = bench.read()
    assert found.missing == ()
    assert found.systems == ("teacher", *(f"{method}-s1" for method in METHODS))
    assert tuple(found.selections) == tuple(METHODS)
    assert found.sets("in_domain", "out_domain") == [name for name in SETS if name != "mini/talk_dev"]
    assert found.parameters["teacher"] == 3_500_000
    assert found.selection_behind("k2d_per-s1") is found.selections["k2d_per"]
    assert found.selection_behind("teacher") is None


def test_a_set_without_a_score_is_named_with_its_system(bench):
    for name in ("mini/lectures_test", "mini/talk_dev", "mini/read_test"):
        write_score(bench.exp, "teacher", name)
    write_score(bench.exp, "kd_all-s1", "mini/course_test")
    lines = bench.read().missing
    assert "not there yet: scores of teacher on mini/course_test, mini/talk_test (stage 12)" in lines
    assert any(
        line.startswith("not there yet: scores of kd_all-s1 on mini/talk_dev, mini/lectures_test") for line in lines
    )
    assert any(line.startswith("not there yet: the number of parameters of kd_all-s1, teacher (") for line in lines)


def test_counts_and_marks_of_a_score_are_read(bench):
    counts = {"n": 50, "s": 3, "d": 2, "i": 1, "percent": 12.0}
    write_score(bench.exp, "teacher", "mini/read_test", mer=counts, missing=["u7"], repetitions=4, pier=counts)
    found = bench.read().scores["teacher", "mini/read_test"]
    assert found.mer == ErrorRate(n=50, s=3, d=2, i=1)
    assert found.rates["pier"] == found.mer
    assert (found.missing, found.repetitions) == (("u7",), 4)


def test_systems_and_sets_beyond_the_config_are_shown_as_well(bench):
    write_score(bench.exp, "base", "seame/dev", role="out_domain")
    write_score(bench.exp, "teacher", "seame/dev", role="out_domain")
    found = bench.read()
    assert found.systems == ("teacher", "base")
    assert found.sets("out_domain") == ["seame/dev"]


def test_a_damaged_file_is_named_and_the_others_are_read(bench):
    write_score(bench.exp, "teacher", "mini/read_test").write_text('{"model": "teach')
    write_score(bench.exp, "teacher", "mini/talk_test")
    lacks = score("kd_all-s1", "mini/talk_test")
    del lacks["zh_joint"]
    write_json(bench.exp / "score/kd_all-s1/mini/talk_test/score.json", lacks)
    write_score(bench.exp, "k2d_per-s1", "mini/talk_test", mer={"n": 2, "s": 3, "d": 0, "i": 0, "percent": 150.0})
    write_json(bench.exp / "select/k2d_mer/record.json", {**record("k2d_mer"), "kept": None})
    write_speed(bench.exp, "teacher", "mini/read_test", 0.1, runs_s=[])
    write_json(bench.exp / "score/validator/base.json", {**study(), "by_metric": []})
    (bench.exp / "select/distances/base").mkdir(parents=True)
    (bench.exp / "select/distances/base/distances.tsv").write_text("id\tmer\nx\t0.1\n")
    found = bench.read()
    assert list(found.scores) == [("teacher", "mini/talk_test")]
    missing = [line for line in found.missing if not line.startswith("not there yet")]
    assert len(missing) == 7
    assert any("speed.json: cannot be read" in line and "--stage 11 --stop-stage 11" in line for line in missing)
    assert any("teacher/mini/read_test/score.json: cannot be read (JSONDecodeError" in line for line in missing)
    assert any("kd_all-s1/mini/talk_test/score.json: cannot be read (KeyError: 'zh_joint')" in line for line in missing)
    assert any(
        "counts that cannot be: n 2, s 3, d 0, i 0); make it again: ./run.sh --stage 12 --stop-stage 12" in line
        for line in missing
    )
    assert any(
        "k2d_mer/record.json: cannot be read (TypeError" in line and "--stage 8 --stop-stage 8 --force" in line
        for line in missing
    )
    assert any("validator/base.json: cannot be read" in line for line in missing)
    assert any("distances.tsv:1: found the columns 'id mer'" in line for line in missing)


def test_unfinished_folders_are_ignored(bench):
    write_json(bench.exp / "score/teacher/mini/.read_test.partial/score.json", score("teacher", "mini/read_test"))
    write_json(bench.exp / "select/.kd_all.replaced/record.json", record("kd_all"))
    found = bench.read()
    assert found.scores == {}
    assert found.selections == {}


def test_intervals_and_roles_may_be_null(bench):
    interval = {"level": None, "low": None, "high": None, "over": "recordings"}
    write_score(bench.exp, "teacher", "x/y", interval=interval, role=None)
    found = bench.read()
    assert found.scores["teacher", "x/y"].interval is None
    assert found.sets("out_domain") == ["x/y"]


def test_stamps_of_all_results_but_not_of_the_old_report_are_read(bench):
    for name in ("select/kd_all", "report"):
        (bench.exp / name).mkdir(parents=True)
        write_stamp(bench.exp / name, Recipe("select", 1, {}, {}), {}, {"command": "select --conf c.yaml"})
    write_record(bench.exp, "k2d_mer")
    assert [name for name, _ in bench.read().stamps] == ["select/kd_all"]
