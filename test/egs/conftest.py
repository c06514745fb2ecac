"""Runs a recipe from its raw corpus to the report, with a tiny random model."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from egs.lectures.options import Options
from k2d.data.rows import Utterance

CONF = """
data: data
max_bad: 0.5
corpora: {{out_domain: [{sets}]}}
teacher: {{language: [zho]}}
decode: {{batch_size: 8, max_tokens: 3}}
score: {{speed_runs: 1, bootstrap_resamples: 20}}
"""


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights."""
    from models_made import made_recogniser

    folder = tmp_path_factory.mktemp("models")
    made_recogniser(folder / "made", num_blocks=1).save(folder / "teacher")
    return folder / "teacher"


@pytest.fixture
def walk(warm_project, tiny_teacher: Path) -> Callable[..., Path]:
    """`walk(corpus, root, splits, *settings)` runs stages 1, 11, 12 and 13 and returns the data directories' folder.

    Every recording of the splits is decoded, every utterance scored, and every split is in the report.
    """

    def run(corpus: str, root: Path, splits: list[str], *settings: str) -> Path:
        sets = ", ".join(f"{corpus}/{split}" for split in splits)
        (warm_project.root / "conf" / "walk.yaml").write_text(CONF.format(sets=sets), encoding="utf-8")
        shutil.copytree(tiny_teacher, warm_project.root / "exp" / "walk" / "models" / "teacher")
        settings = (f"prepare.roots.{corpus}={root}", *settings)
        for first, last in (("1", "1"), ("11", "13")):
            words = ("--conf", "conf/walk.yaml", "--corpus", corpus, "--stage", first, "--stop-stage", last)
            done = warm_project.run(*words, "--nj", "1", "--allow-count-mismatch", *settings)
            assert done.returncode == 0, done.stdout + done.stderr
        for split in splits:
            check_split(
                warm_project.root / "data" / corpus / split, warm_project.root / "exp" / "walk", f"{corpus}/{split}"
            )
        return warm_project.root / "data" / corpus

    return run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of recordings."""
    return tmp_path / "my recordings [2021] 課"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def rows(root: Path, store: Path) -> Callable[..., dict[str, list[Utterance]]]:
    """The rows that egs/lectures makes of the folder, by split."""
    from egs.lectures.prepare import prepare

    def run(options: Options | None = None, nj: int = 1) -> dict[str, list[Utterance]]:
        found: dict[str, list[Utterance]] = {}
        for split, row in prepare(root, options or Options(), nj, store):
            found.setdefault(split, []).append(row)
        return found

    return run


def check_split(data: Path, exp: Path, name: str) -> None:
    assert ids(exp / "decode" / "teacher" / name / "text") == ids(data / "wav.scp")
    assert json.loads((exp / "speed" / name / "speed.json").read_text())["single"]["teacher"]["audio_s"] > 0
    score = json.loads((exp / "score" / "teacher" / name / "score.json").read_text(encoding="utf-8"))
    assert score["missing"] == []
    assert score["mer"]["n"] > 0
    assert name in (exp / "report" / "RESULTS.md").read_text(encoding="utf-8")


def ids(table: Path) -> list[str]:
    return [line.split(" ")[0] for line in table.read_text(encoding="utf-8").splitlines()]
