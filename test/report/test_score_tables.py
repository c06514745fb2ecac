"""The paper's tables from counts worked out by hand. Only scores with equal signatures are compared."""

import math

from made_experiment import figure, write_record, write_score, write_speed

from k2d.report.comparable import pooled, teacher_speed_up
from k2d.report.score_tables import (
    interval_table,
    kinds_table,
    language_table,
    mer_table,
    parts_table,
    speed_notes,
    speed_table,
    term_table,
)
from k2d.score.rates import ErrorRate

READ, TALK = "mini/read_test", "mini/talk_test"


def texts(table):
    return [tuple(cell.text for cell in row) for row in table.rows]


def errors(n_errors, n=100):
    return figure(n, n_errors, 0, 0)


def test_mer_with_reduction_best_and_gaps(bench):
    write_score(bench.exp, "teacher", READ, mer=errors(20))
    write_score(bench.exp, "teacher", TALK, mer=errors(40))
    write_score(bench.exp, "kd_all-s1", READ, mer=errors(15))
    write_score(bench.exp, "kd_all-s1", TALK, mer=errors(44))
    write_score(bench.exp, "k2d_per-s1", READ, mer=errors(15))
    write_record(bench.exp, "k2d_per")  # keeps 61 of 100 hours
    table = mer_table(bench.read(), [READ, TALK], "MER")
    assert table.header[4:] == ("mini/read_test (out-of-domain)", "mini/talk_test (out-of-domain)")
    assert texts(table) == [
        ("teacher", "–", "–", "–", "20.00", "40.00"),
        ("kd_all-s1", "–", "–", "–", "15.00 (25.0)", "44.00 (−10.0)"),
        ("k2d_per-s1", "–", "–", "61.0 %", "15.00 (25.0)", "–"),
    ]
    best = [(row[0].text, n) for row in table.rows for n, cell in enumerate(row) if cell.best]
    assert best == [("teacher", 5), ("kd_all-s1", 4), ("k2d_per-s1", 4)]  # both of a tie
    assert table.notes == ()


def test_a_row_with_another_signature_is_marked_and_not_compared(bench):
    write_score(bench.exp, "teacher", READ, mer=errors(20), signature="A")
    write_score(bench.exp, "kd_all-s1", READ, mer=errors(15), signature="A")
    write_score(bench.exp, "k2d_per-s1", READ, mer=errors(1), signature="B", speed=0.1)
    experiment = bench.read()
    table = mer_table(experiment, [READ], "MER")
    assert [row[-1] for row in texts(table)] == ["20.00", "15.00 (25.0)", "1.00 †"]
    assert [row[-1].best for row in table.rows] == [False, True, False]
    assert len(table.notes) == 1
    assert table.notes[0].startswith("† k2d_per-s1 on mini/read_test: scored with another signature than the other")
    for other in (kinds_table, parts_table, interval_table, speed_table):
        made = other(experiment, [READ], "other")
        assert [row[1] for row in texts(made)] == ["teacher", "kd_all-s1", "k2d_per-s1 †"]
        assert table.notes[0] in made.notes
    assert table.notes[0] in language_table(experiment, [READ], "split", "languages").notes
    assert pooled(experiment, "k2d_per-s1", "out_domain") is None


def test_without_a_teacher_there_is_no_reduction(bench):
    write_score(bench.exp, "kd_all-s1", READ, mer=errors(15))
    assert texts(mer_table(bench.read(), [READ], "MER")) == [("kd_all-s1", "–", "–", "–", "15.00")]


def test_a_set_without_reference_tokens_has_no_rate(bench):
    write_score(bench.exp, "teacher", READ, mer=figure(0, 0, 0, 5))
    write_score(bench.exp, "kd_all-s1", READ, mer=figure(0, 0, 0, 3))
    assert [row[-1] for row in texts(mer_table(bench.read(), [READ], "MER"))] == ["–", "–"]


def test_speed_up_is_the_geometric_mean_over_sets_timed_alike(bench):
    for name, factor in ((READ, 2.0), (TALK, 8.0)):
        write_score(bench.exp, "teacher", name, speed=0.4)
        write_score(bench.exp, "kd_all-s1", name, speed=0.4 / factor)
    write_score(bench.exp, "k2d_per-s1", READ)
    write_speed(bench.exp, "k2d_per-s1", READ, 0.1, device="cuda")
    write_score(bench.exp, "k2d_mer-s1", READ)
    experiment = bench.read()
    assert math.isclose(teacher_speed_up(experiment, "kd_all-s1").factor, 4.0)
    assert teacher_speed_up(experiment, "k2d_per-s1").factor is None  # another device
    assert [row[2] for row in texts(mer_table(experiment, [READ], "MER"))] == ["×1.0", "×4.0", "–", "–"]
    notes = list(speed_notes(experiment))
    assert "Timed under other conditions than the teacher, and left out of the speed-up: k2d_per-s1 (1 set)." in notes
    assert "Not timed together with the teacher: k2d_mer-s1." in notes
    assert texts(speed_table(experiment, [READ], "RTF"))[1] == (
        (READ, "kd_all-s1", "0.2000", "0.1900 to 0.2100", "3", "16", "2", "fp32", "cpu")
    )


def test_batched_speed_is_a_column_and_a_table_of_its_own(bench):
    for system, alone, batched in (("teacher", 0.4, 0.1), ("kd_all-s1", 0.1, 0.05), ("k2d_per-s1", 0.1, None)):
        write_score(bench.exp, system, READ, speed=alone)
        if batched:
            write_speed(bench.exp, system, READ, batched, "batched")
    experiment = bench.read()
    table = mer_table(experiment, [READ], "MER")
    assert table.header[2:4] == ("speed-up", "speed-up, batched")
    assert [row[2:4] for row in texts(table)] == [("×1.0", "×1.0"), ("×4.0", "×2.0"), ("×4.0", "–")]
    assert [row[2] for row in texts(speed_table(experiment, [READ], "RTF"))] == ["0.4000", "0.1000", "0.1000"]
    rows = texts(speed_table(experiment, [READ], "RTF", batched=True))
    assert [row[2:4] for row in rows] == [("0.1000", "0.0950 to 0.1050"), ("0.0500", "0.0475 to 0.0525"), ("–", "–")]
    assert speed_table(experiment, [TALK], "RTF", batched=True) is None


def test_without_times_there_is_no_table_of_speed(bench):
    write_score(bench.exp, "teacher", READ)
    assert speed_table(bench.read(), [READ], "RTF") is None


def test_languages_in_both_ways(bench):
    ways = {"zh_split": errors(10), "en_split": errors(30), "zh_joint": errors(9), "en_joint": errors(25)}
    write_score(bench.exp, "teacher", READ, **ways)
    experiment = bench.read()
    assert texts(language_table(experiment, [READ], "split", "split")) == [("teacher", "10.00", "30.00")]
    assert texts(language_table(experiment, [READ], "joint", "joint")) == [("teacher", "9.00", "25.00")]


def test_kinds_of_errors_and_hallucinations(bench):
    mer = figure(200, 6, 4, 2)
    write_score(bench.exp, "teacher", READ, mer=mer, repetitions=110, empty=3, too_long=2, missing=["a", "b"])
    table = kinds_table(bench.read(), [READ], "kinds")
    assert texts(table) == [(READ, "teacher", "2.00", "1.00", "3.00", "110", "3", "2", "2")]


def test_parts_that_a_set_lacks_have_no_columns(bench):
    parts = {"mixed": errors(10), "zh": errors(5), "en": figure(0, 0, 0, 0)}
    write_score(bench.exp, "teacher", READ, parts=parts, pier=errors(30), switch=errors(20))
    table = parts_table(bench.read(), [READ], "parts")
    assert table.header == (
        "set", "system", "mixed: MER % (n)", "Mandarin only: MER % (n)", "PIER % (n)", "at switches % (n)",
    )  # fmt: skip
    assert texts(table) == [(READ, "teacher", "10.00 (100)", "5.00 (100)", "30.00 (100)", "20.00 (100)")]


def test_the_recall_of_terms_is_a_table_where_scores_have_it(bench):
    terms = {"n": 40, "n_correct": 33, "low": 70.0, "high": 91.25}
    write_score(bench.exp, "teacher", READ, terms=terms)
    write_score(bench.exp, "kd_all-s1", READ, terms=None)  # as earlier versions scored
    table = term_table(bench.read(), [READ], "terms")
    assert texts(table) == [
        (READ, "teacher", "82.5", "70.0 to 91.2", "40"),
        (READ, "kd_all-s1", "–", "–", "–"),
    ]
    write_score(bench.exp, "teacher", READ, terms={**terms, "n": 0, "n_correct": 0})
    assert term_table(bench.read(), [READ], "terms") is None


def test_pooled_counts_add_and_need_every_set(bench):
    for name, n_errors, n in (("mini/lectures_test", 10, 100), ("mini/course_test", 40, 300)):
        write_score(bench.exp, "teacher", name, mer=errors(n_errors, n))
    write_score(bench.exp, "kd_all-s1", "mini/lectures_test", mer=errors(1))
    experiment = bench.read()
    assert pooled(experiment, "teacher", "in_domain") == ErrorRate(n=400, s=50)  # 12.5 %, not the mean of 10 and 13.3
    assert pooled(experiment, "kd_all-s1", "in_domain") is None
