"""What the tiny Whisper run must have left: run after `./run.sh --conf conf/whisper_tiny.yaml` (see the Makefile)."""

import csv
import json

import pytest

from k2d.config import load_config
from k2d.paths import PROJECT_ROOT
from k2d.report.stored import expected_systems

EXP = PROJECT_ROOT / "exp" / "whisper_tiny"
STUDENTS = ("kd_all-s1", "k2d_composite-s1")
CONFIG = load_config(PROJECT_ROOT / "conf" / "whisper_tiny.yaml", [])


def read(*parts: str):
    return json.loads(EXP.joinpath(*parts).read_text(encoding="utf-8"))


def test_every_model_is_a_whisper_of_the_sizes_asked_for():
    import whisper

    sizes = {
        name: whisper.load_model(str(EXP / "models" / name / "model.pt"), device="cpu").dims
        for name in ("teacher", "base", *STUDENTS)
    }
    assert {dims.n_vocab for dims in sizes.values()} == {51_865}
    assert {name: dims.n_text_layer for name, dims in sizes.items()} == {
        "teacher": 4,
        "base": 2,
        "kd_all-s1": 2,
        "k2d_composite-s1": 2,
    }


def test_chunks_were_kept_and_dropped():
    record = read("select", "k2d_composite", "record.json")
    kept, dropped = record["kept"]["chunks"], sum(reason["chunks"] for reason in record["dropped"].values())
    assert kept > 0
    assert dropped > 0
    assert kept + dropped == record["in"]["chunks"]


@pytest.mark.parametrize("model", ["teacher", "base", *STUDENTS])
def test_losses_fell(model):
    with (EXP / "models" / model / "curves.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    last = [float(row["loss"]) for row in rows if row["phase"] == rows[-1]["phase"]]
    tenth = max(1, len(last) // 10)
    assert sum(last[-tenth:]) < sum(last[:tenth])


def test_the_teacher_says_something():
    assert read("models", "teacher", "training.json")["final_error_rate"] < 0.6


def test_the_table_has_numbers():
    sets = [*CONFIG.corpora.dev, *CONFIG.corpora.in_domain, *CONFIG.corpora.out_domain]
    report = (EXP / "report" / "RESULTS.md").read_text(encoding="utf-8")
    for system in expected_systems(CONFIG):
        for name in sets:
            mer = read("score", system, name, "score.json")["mer"]
            assert mer["n"] > 0
            assert f"{mer['percent']:.2f}" in report, (system, name)
    assert "not there yet" not in report


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("made", ["openai", "huggingface", "ctranslate2"])
def test_students_left_and_were_loaded_back(student, made):
    assert (EXP / "export" / student / made / "README.md").is_file()
    assert read("export", student, made, "export.json")["loaded_back"]["difference"] < 1e-4
