"""The examples in the room's docstrings are true."""

import doctest
import importlib

import pytest

from k2d.core.layout import PROJECT_ROOT


@pytest.mark.slow
def test_examples():
    modules = sorted(path.stem for path in (PROJECT_ROOT / "k2d" / "text").glob("[!_]*.py"))
    results = [doctest.testmod(importlib.import_module(f"k2d.text.{name}")) for name in modules]
    assert sum(result.failed for result in results) == 0
    assert sum(result.attempted for result in results) >= 15
