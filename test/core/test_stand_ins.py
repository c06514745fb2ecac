"""Modules are replaced within a block and restored after it."""

import importlib
import sys
from types import ModuleType

import pytest

from k2d.core.stand_ins import standing_in


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library that imports two others, one of them only if it is installed."""
    (tmp_path / "heavy_one.py").write_text("weight = 1000\n")
    (tmp_path / "heavy_two.py").write_text("weight = 2000\n")
    (tmp_path / "library_of_both.py").write_text(
        "import heavy_one\ntry:\n    import heavy_two\nexcept ImportError:\n    heavy_two = None\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "library_of_both"
    for name in ("library_of_both", "heavy_one", "heavy_two"):
        sys.modules.pop(name, None)


def test_imports_get_the_stand_ins_in_the_block_and_the_real_modules_after_it(library):
    stand_in = ModuleType("heavy_one")
    with standing_in({"heavy_one": stand_in, "heavy_two": None}):
        module = importlib.import_module(library)
    assert module.heavy_one is stand_in
    assert module.heavy_two is None
    assert importlib.import_module("heavy_one").weight == 1000
    assert importlib.import_module("heavy_two").weight == 2000


def test_earlier_imports_are_restored_after_an_error(library):
    real = importlib.import_module("heavy_one")
    with pytest.raises(ImportError), standing_in({"heavy_one": None}):
        importlib.import_module("heavy_one")
    assert sys.modules["heavy_one"] is real
