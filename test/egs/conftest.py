"""Runs a recipe from its raw corpus to the report, with a tiny random model."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands_here import ExperimentHere, k2d

from egs.lectures.options import Options
from k2d.data.rows import Utterance

CONF = """
max_bad: 0.5
corpora: {{out_domain: [{sets}]}}
teacher: {{language: [zho]}}
decode: {{batch_size: 8, max_tokens: 3}}
score: {{speed_runs: 1, bootstrap_resamples: 20}}
"""


@pytest.fixture(scope="module", autouse=True)
def _warm_workers(request: pytest.FixtureRequest) -> None:
    """Readers of corpora start workers, which would import pyarrow anew for every test.

    Where eSpeak has been loaded already, they do so as in use: it keeps state, and would speak otherwise in a fork.
    """
    maps = Path("/proc/self/maps")
    if maps.exists() and "espeak" not in maps.read_text():
        request.getfixturevalue("forked_workers")


@pytest.fixture(scope="session")
def tiny_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with random weights."""
    from models_made import made_recogniser

    folder = tmp_path_factory.mktemp("models")
    made_recogniser(folder / "made", num_blocks=1).save(folder / "teacher")
    return folder / "teacher"


@pytest.fixture
def walk(tmp_path_factory: pytest.TempPathFactory, tiny_teacher: Path) -> Callable[..., Path]:
    """`walk(corpus, root, splits, *settings)` runs stages 1, 11, 12 and 13 and returns the data directories' folder.

    Every recording of the splits is decoded, every utterance scored, and every split is in the report.
    """

    def run(corpus: str, root: Path, splits: list[str], *settings: str) -> Path:
        experiment = ExperimentHere(tmp_path_factory.mktemp("walk"))
        sets = ", ".join(f"{corpus}/{split}" for split in splits)
        experiment.conf.write_text(CONF.format(sets=sets), encoding="utf-8")
        shutil.copytree(tiny_teacher, experiment.exp / "models" / "teacher")
        for verb in ("prepare", "decode", "score", "report"):
            words = ("--corpus", corpus, *(["--allow-count-mismatch"] if verb == "prepare" else []))
            done = experiment.k2d(verb, *words, f"prepare.roots.{corpus}={root}", *settings)
            assert done.returncode == 0, done.stdout + done.stderr
        for split in splits:
            check_split(experiment.root / "data" / corpus / split, experiment.exp, f"{corpus}/{split}")
        return experiment.root / "data" / corpus

    return run


class Stage1:
    """Stage 1 of a recipe, with the settings of the mini recipe, as `egs/<corpus>/run.sh` has it."""

    def __init__(self, folder: Path) -> None:
        self.data, self._exp = folder / "data", folder / "exp"

    def __call__(self, corpus: str, root: Path, *words: str) -> subprocess.CompletedProcess[str]:
        places = (f"data={self.data}", f"exp={self._exp}", f"prepare.roots.{corpus}={root}")
        return k2d("prepare", "--conf", "conf/mini.yaml", "--corpus", corpus, "--nj", "1", *places, *words)


@pytest.fixture
def stage_1(tmp_path_factory: pytest.TempPathFactory) -> Stage1:
    return Stage1(tmp_path_factory.mktemp("stage 1"))


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
