"""The benchmarks of training work with the present code: they run and print their figures."""

import re
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from k2d.models.whisper.dims import PUBLISHED

PROJECT_ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


SMALL = ["--pairs", "1", "--batch-size", "2"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("training", SMALL, (r"all: step [\d.]+ ×", r"all: waiting for data [\d.]+ %", r"decoder: step [\d.]+ ×")),
        ("distillation", SMALL, (r"bare: +\d+ ms", r"step: +\d+ ms, [\d.]+ × bare", r"twice: ", r"kept: ")),
        (
            "vocabulary",
            ["--size", "tiny", "--pairs", "1", "--batch-size", "1"],
            (r"all: 51,865 tokens", r"in use:  6,608 tokens", r"faster: [\d.]+ ×"),
        ),
        ("chunk_table", ["--chunks", "600"], (r"table: [\d.]+ s", r"rank: ", r"lists: ", r"first batches: the same")),
    ],
)
def test_a_benchmark_runs(name, options, expected, monkeypatch, capsys, warm_python):
    """As a script, in this process; the processes that it starts for its parts are forked from a warm Python."""
    script = str(PROJECT_ROOT / "tools" / "bench" / f"{name}.py")
    monkeypatch.setattr(sys, "argv", [script, *options])
    monkeypatch.setattr(sys, "path", [str(Path(script).parent), *sys.path])
    monkeypatch.setattr(sys, "executable", warm_python)
    monkeypatch.setenv("PYTHONPATH", str(PROJECT_ROOT))
    small = {"n_text_state": 64, "n_text_head": 2, "n_audio_state": 64, "n_audio_head": 2}
    monkeypatch.setitem(PUBLISHED, "tiny", replace(PUBLISHED["tiny"], **small))
    runpy.run_path(script, run_name="__main__")
    found = capsys.readouterr().out
    for line in expected:
        assert re.search(line, found), line
