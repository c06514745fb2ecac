"""What was kept, the reasons for the rest, and reports of records that do not add up."""

from made_experiment import amount, record, study, write_json, write_record

from k2d.report.selection_tables import (
    course_table,
    loops_table,
    reasons_table,
    selection_table,
    validator_table,
)


def texts(table):
    return [tuple(cell.text for cell in row) for row in table.rows]


def small(bench, method="k2d_per", **changes):
    made = {
        "in": amount(10, 4.0),
        "kept": amount(6, 3.0),
        "dropped": {"loop": amount(1, 0.2), "distance": amount(3, 0.8)},
        "by_course": {"代數": {"in": amount(10, 4.0), "kept": amount(6, 3.0)}},
    }
    write_record(bench.exp, method, **{**made, **changes})


def test_the_amounts_that_a_method_kept(bench):
    small(bench, also=["blacklist"])
    write_record(bench.exp, "kd_all", auxiliary=None, alpha=None)
    kd_all, k2d_per = texts(selection_table(bench.read(), "kept"))
    assert k2d_per == ("k2d_per", "per", "0.4", "base", "blacklist", "10", "4.00", "6", "3.00", "75.0 %")
    assert kd_all[:5] == ("kd_all", "none", "–", "–", "–")


def test_reasons_with_their_hours(bench):
    small(bench)
    table = reasons_table(bench.read(), "reasons")
    assert texts(table) == [
        ("k2d_per", "kept", "6", "3.00", "75.0 %"),
        ("k2d_per", "loop", "1", "0.20", "5.0 %"),
        ("k2d_per", "distance", "3", "0.80", "20.0 %"),
    ]
    assert table.notes == ()


def test_a_record_that_does_not_add_up_is_reported(bench):
    small(bench, dropped={"loop": amount(1, 1.0)})
    notes = reasons_table(bench.read(), "reasons").notes
    assert notes == ("k2d_per: its record does not add up: in 10 chunks, kept and dropped 7.",)


def test_courses_side_by_side(bench):
    small(bench)
    small(bench, "k2d_mer", by_course={"physics": {"in": amount(0, 0.0), "kept": amount(0, 0.0)}})
    assert texts(course_table(bench.read(), "courses")) == [
        ("physics", "0.00", "0.00 (–)", "–"),
        ("代數", "4.00", "–", "3.00 (75.0 %)"),
    ]


def test_no_courses_no_table(bench):
    small(bench, by_course={})
    assert course_table(bench.read(), "courses") is None


def test_loops_on_either_side(bench):
    small(bench, loops={"teacher": 3, "auxiliary": 2, "both": 1})
    table = loops_table(bench.read(), "loops")
    assert table.header == ("method", "teacher", "auxiliary", "both")
    assert texts(table) == [("k2d_per", "3", "2", "1")]


def test_validators_with_their_cost(bench):
    write_json(bench.exp / "score/validator/base.json", study())  # runs of 300 s and 420 s: 0.1 h
    without = study("small", cost=None, n_bad=0)
    without["by_metric"]["per"] = {**without["by_metric"]["per"], "max_recall": None, "mean_recall": None}
    write_json(bench.exp / "score/validator/small.json", without)
    base, small = texts(validator_table(bench.read(), "validators"))
    assert base == ("base", "0.100", "cpu", "63 of 900", "0.91", "0.86", "0.90", "0.69", "0.66", "0.70")
    assert small == ("small", "–", "–", "0 of 900", "0.91", "–", "0.90", "0.69", "–", "0.70")


def test_records_of_the_helper_add_up():
    for method in ("kd_all", "kd_ngram", "k2d_composite"):
        made = record(method)
        assert made["in"]["chunks"] == made["kept"]["chunks"] + sum(a["chunks"] for a in made["dropped"].values())
