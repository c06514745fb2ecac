"""The layout of an experiment is defined in one file."""

import re
from pathlib import Path

import pytest

from k2d.core.layout import PROJECT_ROOT, Layout, converted_model

ELSEWHERE = [path for path in sorted((PROJECT_ROOT / "k2d").rglob("*.py")) if path.name != "layout.py"]
FOLDERS = "tokens|models|pseudo|chunks|opinions|select|decode|speed|score|report|export|log|work|cache|student_init"
LITERAL = re.compile(rf"""(/ |glob\(|joinpath\(|Path\()f?"({FOLDERS})["/]""")


@pytest.mark.parametrize(
    "line", ['exp / "models" / name', 'exp.glob("score/*/score.json")', 'exp.glob(f"speed/{name}")', 'exp / "log"']
)
def test_a_literal_is_recognised(line):
    assert LITERAL.search(line)


def test_only_the_layout_has_literal_names_of_folders():
    assert len(ELSEWHERE) > 200
    lines = ((path, line) for path in ELSEWHERE for line in path.read_text(encoding="utf-8").splitlines())
    assert [f"{path.relative_to(PROJECT_ROOT)}: {line}" for path, line in lines if LITERAL.search(line)] == []


def test_no_stage_imports_another():
    stages = sorted((PROJECT_ROOT / "k2d" / "stages").glob("*.py"))
    assert len(stages) > 10
    assert [path.name for path in stages if "k2d.stages" in path.read_text(encoding="utf-8")] == []


def test_the_paths_of_folders_have_not_changed():
    layout = Layout(Path("data"), Path("exp/mini"))
    found = {
        layout.split("lab/train"): "data/lab/train",
        layout.tokens: "exp/mini/tokens",
        layout.model("teacher"): "exp/mini/models/teacher",
        layout.pseudo_labels("lab/talks"): "exp/mini/pseudo/lab/talks",
        layout.chunks("lab/talks"): "exp/mini/chunks/lab/talks",
        layout.opinions("base", "lab/talks"): "exp/mini/opinions/base/lab/talks",
        layout.distances("base"): "exp/mini/select/distances/base",
        layout.selection("k2d"): "exp/mini/select/k2d",
        layout.kept("k2d", "lab/talks"): "exp/mini/select/k2d/kept/lab/talks",
        layout.hypotheses("k2d-s1", "lab/test"): "exp/mini/decode/k2d-s1/lab/test",
        layout.speed("lab/test"): "exp/mini/speed/lab/test",
        layout.score("k2d-s1", "lab/test"): "exp/mini/score/k2d-s1/lab/test",
        layout.validator_study: "exp/mini/score/validator",
        layout.report: "exp/mini/report",
        layout.export("k2d-s1", "openai"): "exp/mini/export/k2d-s1/openai",
        layout.log: "exp/mini/log",
        layout.training_work("k2d-s1"): "exp/mini/work/k2d-s1",
        layout.answers(layout.chunks("lab/talks")): "exp/mini/cache/chunks/lab/talks",
        converted_model(layout.model("teacher"), "int8"): "exp/mini/cache/ctranslate2/teacher/int8",
    }
    assert {str(path): path for path in found} == {name: path for path, name in found.items()}
