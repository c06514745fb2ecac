"""Two processes that share each batch learn what one does alone with all of it."""

import os
import subprocess
import sys

import pytest

from k2d.paths import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_two_processes_are_as_one(tmp_path):
    import torch

    support = PROJECT_ROOT / "test" / "support"
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT_ROOT}:{support}"}
    for n_processes in ("1", "2"):
        words = [sys.executable, str(support / "train_two.py"), str(tmp_path / n_processes), n_processes]
        subprocess.run(words, env=environment, check=True, timeout=600, capture_output=True)
    alone, first, second = (
        torch.load(tmp_path / name, weights_only=True) for name in ("1/final-0.pt", "2/final-0.pt", "2/final-1.pt")
    )
    assert all(first[name].equal(second[name]) for name in first)
    assert all(first[name].allclose(alone[name], rtol=0, atol=1e-6) for name in first)
    curves = [(tmp_path / n / "curves.csv").read_text().splitlines() for n in ("1", "2")]
    assert len(curves[0]) == len(curves[1]) == 11  # one process writes
    for one, two in zip(*(lines[1:] for lines in curves), strict=True):
        assert float(one.split(",")[3]) == pytest.approx(float(two.split(",")[3]), rel=1e-5)
