"""The examples in the docstrings of this room are true."""

import doctest
import importlib

import pytest

ROOMS = [
    "archive",
    "captions",
    "download",
    "hypotheses",
    "timed_text",
    "chunks",
    "chunk_audio",
    "subtitles",
    "corpus",
    "tally",
]


@pytest.mark.parametrize("name", ROOMS)
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"k2d.data.{name}"))
    assert result.failed == 0
    assert result.attempted >= 1
