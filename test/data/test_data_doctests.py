"""The examples in the docstrings of this room are true."""

import doctest
import importlib

import pytest

from k2d.core.layout import PROJECT_ROOT

FILES = sorted((PROJECT_ROOT / "k2d" / "data").rglob("*.py"))
MODULES = [
    ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
    for path in FILES
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_examples_are_found():
    assert {"k2d.data.chunks", "k2d.data.raw.archive"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted >= 1
