"""Lightning is imported without libraries of metrics, which are not used."""

import subprocess
import sys

import pytest

from k2d.core.layout import PROJECT_ROOT


@pytest.mark.slow
def test_training_imports_no_library_of_metrics():
    """They take half of the time of Lightning's import. The real torchmetrics can still be imported afterwards."""
    code = (
        "import sys, k2d.train.engine\n"
        "from importlib.util import find_spec\n"
        "print({'torchmetrics', 'transformers', 'scipy.signal'} & set(sys.modules) or 'none')\n"
        "print(find_spec('torchmetrics').has_location)"
    )
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["none", "True"]
