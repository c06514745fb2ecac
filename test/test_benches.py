"""The benchmarks of training work with the present code: they run and print their figures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
def test_a_benchmark_runs(name, options, expected):
    command = [sys.executable, f"tools/bench/{name}.py", *options]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for line in expected:
        assert re.search(line, done.stdout), line
