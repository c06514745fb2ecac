"""Significant differences have the sign of all other tables: a reduction, better when positive."""

import re

from made_experiment import figure, write_score

from k2d.core.layout import PROJECT_ROOT
from k2d.report.document import Section
from k2d.report.markdown import markdown
from k2d.report.score_tables import mer_table
from k2d.report.significance import significance_table
from k2d.score.compare import Comparison, as_tables
from k2d.score.comparison import against
from k2d.score.stored_systems import systems_in

READ, TALK = "mini/read_test", "mini/talk_test"
HEADER = ("against", "set", "system", "reduction", "reduction %", "p(better)", "MAPSSWE p", "real")


def made(bench):
    """A student that is better on one set (20 to 15 errors of 100) and worse on the other (40 to 44)."""
    for system, read, talk in (("teacher", 20, 40), ("kd_all-s1", 15, 44)):
        for name, errors in ((READ, read), (TALK, talk)):
            parts = dict.fromkeys(("mixed", "zh", "en", "other"), figure(0, 0, 0, 0))
            write_score(bench.exp, system, name, mer=figure(100, errors, 0, 0), parts=parts)
    return bench


def test_a_better_system_has_a_positive_reduction(bench):
    table = significance_table(made(bench).exp, bench.config, [READ, TALK], "Differences")
    assert table.header == HEADER
    rows = [tuple(cell.text for cell in row)[:5] for row in table.rows]
    assert rows == [
        ("teacher", READ, "kd_all-s1", "5.00", "25.0"),
        ("teacher", TALK, "kd_all-s1", "−4.00", "−10.0"),
    ]
    assert table.notes[0].startswith("Reduction: points of MER fewer than what it is against, and the share of its MER")


def test_all_tables_have_the_same_reduction(bench):
    experiment = made(bench).read()
    brackets = re.findall(r"\(([−0-9.]+)\)", markdown("", [Section("", (mer_table(experiment, [READ, TALK], ""),))]))
    table = significance_table(bench.exp, bench.config, [READ, TALK], "")
    systems = systems_in([bench.exp])
    shown = Comparison("mer", systems, list(against(systems)), [])
    compared = [
        line.split("|")[4].strip() for line in as_tables(shown, is_markdown=True) if "| kd_all-s1 | mini/" in line
    ]
    assert brackets == [row[4].text for row in table.rows] == [text.lstrip("+").replace("-", "−") for text in compared]
    assert brackets == ["25.0", "−10.0"]


def test_the_published_page_has_the_header_and_the_sign_of_the_code(bench):
    """In each row, the lower MER of the two has the positive reduction, as in the table of MERs."""
    published = (PROJECT_ROOT / "RESULTS.md").read_text(encoding="utf-8").splitlines()
    assert f"| {' | '.join(HEADER)} |" in published
    assert significance_table(made(bench).exp, bench.config, [READ, TALK], "").notes[0] in published
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in published if line.startswith("| ")]
    header = next(row for row in rows if row[0] == "system" and "mini/lectures_test (in-domain)" in row)
    mers = {row[0]: row for row in rows if len(row) == len(header) and row[0] != "system"}
    rows_of_teacher = [row for row in rows if len(row) == len(HEADER) and row[0] == "teacher" and row[2] in mers]
    assert len(rows_of_teacher) > 50
    for _, name, system, _, percent, *_ in rows_of_teacher:
        column = next(n for n, title in enumerate(header) if title.startswith(f"{name} "))
        bracket = re.search(r"\(([−0-9.]+)\)", mers[system][column])
        assert bracket is None or bracket[1] == percent, (name, system)
