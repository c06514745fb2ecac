"""The adapter imports only those parts of ESPnet that S2T models need."""

import subprocess
import sys

import pytest
from models_made import made_recogniser

from k2d.core.layout import PROJECT_ROOT

pytestmark = pytest.mark.slow

BUILD = """
import sys
from pathlib import Path
from k2d.models.espnet_s2t.loading import load_s2t
load_s2t(Path(sys.argv[1]))
heavy = {"transformers", "nltk", "sklearn", "hydra", "scipy.stats", "whisper"} & set(sys.modules)
print("loaded with", heavy or "nothing heavy")
import scipy.signal
print(scipy.signal.get_window("hann", 4).tolist())
"""


def test_a_model_loads_without_the_libraries_of_other_models(tmp_path):
    """Each import takes a second or more in each process. The stand-ins are removed afterwards."""
    made_recogniser(tmp_path).save(tmp_path / "model")
    words = [sys.executable, "-c", BUILD, str(tmp_path / "model")]
    done = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["loaded with nothing heavy", "[0.0, 0.5, 1.0, 0.5]"]
