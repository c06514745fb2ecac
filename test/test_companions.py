"""Who is a companion, and that what one training says of itself in the environment is gone before the next."""

import os

import pytest

from k2d.companions import companions_for, output_of_companion


@pytest.fixture(autouse=True)
def no_ranks(monkeypatch):
    for name in ("LOCAL_RANK", "MASTER_PORT", "WORLD_SIZE", "K2D_COMPANION_OF"):
        monkeypatch.delenv(name, raising=False)


def test_a_process_with_a_rank_helps_with_what_the_first_one_makes(tmp_path, monkeypatch):
    with companions_for(tmp_path / "student"):
        assert output_of_companion() is None, "the first process"
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert output_of_companion() == str(tmp_path / "student")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert output_of_companion() is None, "a rank that somebody else gave"


def test_the_next_training_finds_the_environment_as_this_one_did(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    before = dict(os.environ)
    with pytest.raises(RuntimeError), companions_for(tmp_path):
        os.environ.update(LOCAL_RANK="0", MASTER_PORT="4711")  # as Lightning leaves it
        raise RuntimeError
    assert dict(os.environ) == before
