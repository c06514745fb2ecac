"""The examples in the docstrings of every recipe are true."""

import doctest
import importlib

import pytest

from k2d.core.layout import PROJECT_ROOT

EGS = PROJECT_ROOT / "egs"
MODULES = sorted(
    ".".join(path.relative_to(EGS.parent).with_suffix("").parts)
    for path in EGS.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted >= 1
