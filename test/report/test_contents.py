"""The content of each section, and no content without stored files."""

import pytest
from made_experiment import figure, write_json, write_record, write_score

from k2d.config import load_config
from k2d.core.layout import PROJECT_ROOT
from k2d.core.stamp import Recipe, write_stamp
from k2d.report.contents import sections
from k2d.report.document import Bullets, Table
from k2d.report.origins import origin_settings, origins


def content(bench):
    return {section.title: section.blocks for section in sections(bench.read(), bench.config)}


def tables(blocks):
    return {
        block.caption: [tuple(c.text for c in row) for row in block.rows]
        for block in blocks
        if isinstance(block, Table)
    }


@pytest.mark.slow
def test_the_main_finding_is_one_sentence(bench):
    for name, teacher, student in (("mini/lectures_test", 20, 10), ("mini/course_test", 40, 35)):
        write_score(bench.exp, "teacher", name, mer=figure(100, teacher, 0, 0), speed=0.5)
        write_score(bench.exp, "k2d_composite-s1", name, mer=figure(100, student, 0, 0), speed=0.1)
    write_json(bench.exp / "models/teacher/params.json", {"total": 4_000_000})
    write_json(bench.exp / "models/k2d_composite-s1/params.json", {"total": 2_000_000})
    write_record(bench.exp, "k2d_composite")
    findings = content(bench)["Summary"][0]
    assert findings == Bullets(
        (
            "in-domain (mini/lectures_test, mini/course_test): k2d_composite-s1 has the lowest MER, 22.50 %; "
            "the teacher has 30.00 % (reduction 25.0 %); ×5.0 the teacher's speed; 50.0 % of its parameters; "
            "learned from 74.0 % of the hours.",
        )
    )


@pytest.mark.slow
def test_a_teacher_that_is_best_is_reported_as_best(bench):
    for system, n_errors in (("teacher", 10), ("kd_all-s1", 12)):
        write_score(bench.exp, system, "mini/read_test", mer=figure(100, n_errors, 0, 0))
    assert content(bench)["Summary"][0] == Bullets(
        ("out-of-domain (mini/read_test): teacher has the lowest MER, 10.00 %.",)
    )


@pytest.mark.slow
def test_a_set_without_speech_has_a_table_of_its_own_and_no_part_in_error_rates(bench):
    """Five words in two minutes; the other set has 10 errors of 100 words."""
    invented = {"utterances": 2, "with_text": 1, "tokens": 5, "seconds": 120.0}
    write_score(bench.exp, "teacher", "mini/talk_test", mer=figure(0, 0, 0, 5), invented=invented)
    write_score(bench.exp, "teacher", "mini/read_test", mer=figure(100, 10, 0, 0))
    found = content(bench)
    (table,) = found["Without speech"]
    assert [getattr(cell, "text", cell) for cell in table.rows[0]][1:] == ["teacher", "2", "1", "5", "2.0", "2.50"]
    assert "out-of-domain (mini/read_test): teacher has the lowest MER, 10.00 %" in str(found["Summary"])
    assert "talk_test" not in str(found["Mixed error rate (Table 2)"])


def test_sections_without_anything_are_empty(bench):
    blocks = content(bench)
    assert [title for title, found in blocks.items() if found] == ["Summary"]


def test_development_sets_have_a_table_of_their_own(bench):
    write_score(bench.exp, "teacher", "mini/talk_dev")
    write_score(bench.exp, "teacher", "mini/read_test")
    by_caption = tables(content(bench)["Mixed error rate (Table 2)"])
    assert list(by_caption) == ["Test sets", "Development sets (everything that is tuned is tuned here)"]


def test_a_signature_is_printed_once_for_all_rows_that_share_it(bench):
    for system, signature in (("teacher", "A"), ("kd_all-s1", "A"), ("k2d_per-s1", "B")):
        write_score(bench.exp, system, "mini/read_test", signature=signature)
    write_record(bench.exp, "kd_all", signature="S")
    write_record(bench.exp, "k2d_per", signature="S")
    by_caption = tables(content(bench)["Signatures"])
    assert by_caption["How the scores were made"] == [
        ("mini/read_test", "teacher, kd_all-s1", "A"),
        ("mini/read_test", "k2d_per-s1", "B"),
    ]
    assert by_caption["How the texts were compared in selection"] == [("kd_all, k2d_per", "S")]


def test_commands_are_listed_once_with_their_time_and_without_local_paths(bench):
    made = {"command": f"select --conf {PROJECT_ROOT}/conf/mini.yaml", "k2d": "0.1.0", "duration_s": 1.5}
    for name in ("select/kd_all", "select/k2d_per"):
        (bench.exp / name).mkdir(parents=True)
        write_stamp(bench.exp / name, Recipe("select", 1, {}, {}), {}, made)
    assert tables(content(bench)["Commands"]) == {
        "What made the results": [("select", "python -m k2d select --conf conf/mini.yaml", "0.1.0", "2", "3.0")]
    }


def test_the_source_of_transcripts_is_named_first(bench):
    words = ["pseudo_label.from=a/labels.jsonl", "pseudo_label.made_by=Other-ASR", "distill.objective={ce: 1.0, kl: 0}"]
    config = load_config(PROJECT_ROOT / "conf" / "mini.yaml", [*words, "auxiliaries.ear={from: a/ear.jsonl}"])
    summary = next(section for section in sections(bench.read(), config) if section.title == "Summary")
    assert summary.blocks[0] == Bullets(
        (
            "The labels are not the teacher's: Other-ASR made them, and they were read from labels.jsonl. What is "
            "compared with a second opinion is these labels, in the teacher's place.",
            "The second opinions of ear were made elsewhere and read from ear.jsonl.",
        )
    )
    own = load_config(PROJECT_ROOT / "conf" / "mini.yaml", ["pseudo_label={from: a/l.jsonl, made_by: teacher}"])
    assert list(origins(own)) == ["The teacher made the labels elsewhere; they were read from l.jsonl."]
    assert origin_settings(load_config(PROJECT_ROOT / "conf" / "mini.yaml")) == {}
