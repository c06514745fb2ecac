"""What the smoke run must have left: run after `./run.sh --conf conf/smoke.yaml`, not before (see the Makefile)."""

import csv
import json

import pytest

from k2d.config import load_config
from k2d.paths import PROJECT_ROOT
from k2d.report.stored import expected_systems

EXP = PROJECT_ROOT / "exp" / "smoke"
STUDENTS = ("kd_all-s1", "k2d_composite-s1")


def read(*parts: str):
    return json.loads(EXP.joinpath(*parts).read_text(encoding="utf-8"))


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


def test_the_teacher_has_learnt_its_dozen_words():
    record = read("models", "teacher", "training.json")
    assert record["final_error_rate"] < 0.4


def test_a_student_is_smaller_and_can_be_compared():
    sizes = {name: read("models", name, "params.json")["total"] for name in ("teacher", *STUDENTS)}
    assert sizes["teacher"] > 1.5 * sizes["kd_all-s1"] == 1.5 * sizes["k2d_composite-s1"]


def test_the_table_has_numbers():
    config = load_config(PROJECT_ROOT / "conf" / "smoke.yaml", [])
    sets = [*config.corpora.dev, *config.corpora.in_domain, *config.corpora.out_domain]
    report = (EXP / "report" / "RESULTS.md").read_text(encoding="utf-8")
    for system in expected_systems(config):
        for name in sets:
            mer = read("score", system, name, "score.json")["mer"]
            assert mer["n"] > 0
            assert f"{mer['percent']:.2f}" in report, (system, name)
    assert "not there yet" not in report
