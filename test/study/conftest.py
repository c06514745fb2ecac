"""A small experiment on disk, as stages 5 to 8 leave it."""

import pytest
from studied_chunks import CONF, write_split


@pytest.fixture
def experiment(tmp_path):
    """The folders of an experiment with four lectures of five chunks. Of the last two in each, some words are wrong."""
    (tmp_path / "x.yaml").write_text(CONF)
    write_split(tmp_path, "lab/lectures", ("a", "b", "c", "d"))
    return tmp_path
