"""DDP children: which processes are children, and how a training removes its environment variables."""

import os

import pytest

from k2d.core.ddp_children import ddp_children_for, is_first, output_of_leader

OURS = ("K2D_COMPANION_OF", "K2D_LEADER")


@pytest.fixture(autouse=True)
def no_ranks(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "MASTER_PORT", "WORLD_SIZE", *OURS):
        monkeypatch.delenv(name, raising=False)


def test_a_rank_set_during_a_training_marks_a_child_and_another_rank_does_not(tmp_path, monkeypatch):
    with ddp_children_for(tmp_path / "student"):
        assert output_of_leader() is None, "the first process"
        monkeypatch.setenv("LOCAL_RANK", "1")
        assert output_of_leader() == str(tmp_path / "student")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert output_of_leader() is None, "a rank that somebody else gave"


def test_the_third_task_of_a_slurm_step_writes_its_own_model(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "2")
    with ddp_children_for(tmp_path / "student"):
        assert output_of_leader() is None


def test_the_environment_is_restored_for_the_next_training(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    before = dict(os.environ)
    with pytest.raises(RuntimeError), ddp_children_for(tmp_path):
        os.environ.update(LOCAL_RANK="0", MASTER_PORT="4711")  # as Lightning sets it
        raise RuntimeError
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("environment", "is_the_first"),
    [
        ("", True),
        ("LOCAL_RANK=0 NODE_RANK=0 WORLD_SIZE=2", True),  # Lightning's leader
        ("LOCAL_RANK=1 NODE_RANK=0 WORLD_SIZE=2", False),
        ("LOCAL_RANK=0 NODE_RANK=1 WORLD_SIZE=4", False),  # of the second machine
        ("RANK=0 LOCAL_RANK=0 GROUP_RANK=0 WORLD_SIZE=4", True),  # torchrun
        ("RANK=2 LOCAL_RANK=0 GROUP_RANK=1 WORLD_SIZE=4", False),
        ("LOCAL_RANK=0 GROUP_RANK=1 WORLD_SIZE=4", False),
        ("SLURM_PROCID=0 SLURM_LOCALID=0", True),  # srun, whose tasks each train a model of their own
        ("SLURM_PROCID=2 SLURM_LOCALID=0", True),
        ("SLURM_PROCID=0 LOCAL_RANK=1 NODE_RANK=0", False),  # Lightning's, in a batch script
        ("SLURM_PROCID=2 LOCAL_RANK=0 NODE_RANK=0", True),  # its leader in the third task
        ("SLURM_PROCID=2 RANK=1 LOCAL_RANK=1 GROUP_RANK=0", False),  # torchrun in a batch script
    ],
)
def test_the_first_process_is_the_first_of_all_machines(environment, is_the_first):
    given = dict(word.split("=") for word in environment.split())
    assert is_first(given) is is_the_first


def test_on_a_second_machine_the_first_process_is_a_ddp_child(tmp_path, monkeypatch):
    with ddp_children_for(tmp_path / "student"):
        monkeypatch.setenv("LOCAL_RANK", "0")
        monkeypatch.setenv("NODE_RANK", "1")
        assert output_of_leader() == str(tmp_path / "student")
