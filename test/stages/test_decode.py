"""Stage 11: what is to be decoded, and whose speed is measured."""

from k2d.config import load_config
from k2d.stages.decode import models, units
from k2d.stages.shell import make_job

CONF = """
corpora: {unlabelled: [lab/train], dev: [lab/dev], in_domain: [lab/test]}
teacher: {language: [zho]}
select: {methods: {all: {rule: none}}}
distill: {seeds: [4, 5]}
"""


def test_ctc_rows_are_of_models_that_are_decoded_otherwise(tmp_path):
    auxiliaries = "auxiliaries: {one: {language: [zho], decode: joint}, two: {language: [zho], decode: ctc}}\n"
    (tmp_path / "x.yaml").write_text(f"{CONF}{auxiliaries}decode: {{ctc_rows: true}}\n", encoding="utf-8")
    job = make_job(load_config(tmp_path / "x.yaml", [f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}"]))
    found = {row: (model, recogniser.decode) for row, (model, recogniser) in models(job).items()}
    assert found == {
        "teacher": ("teacher", "attention"),
        "one": ("one", "joint"),
        "two": ("two", "ctc"),
        "teacher_ctc": ("teacher", "ctc"),
        "one_ctc": ("one", "ctc"),
    }


def test_the_speed_of_a_network_is_measured_once_and_on_test_sets(tmp_path):
    (tmp_path / "x.yaml").write_text(CONF, encoding="utf-8")
    (tmp_path / "exp" / "x" / "models" / "all-s4").mkdir(parents=True)
    job = make_job(load_config(tmp_path / "x.yaml", [f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}"]))
    is_timed = {(unit.settings["model"], unit.settings["set"]): "speed_runs" in unit.settings for unit in units(job)}
    assert is_timed == {
        ("teacher", "lab/dev"): False,
        ("teacher", "lab/test"): True,
        ("all-s4", "lab/dev"): False,
        ("all-s4", "lab/test"): True,
        ("all-s5", "lab/dev"): False,
        ("all-s5", "lab/test"): False,
    }
