"""Lightning starts the processes of a training, unless torchrun has started them."""

import json

import pytest

pytestmark = pytest.mark.slow

VARIABLES = "RANK LOCAL_RANK NODE_RANK GROUP_RANK WORLD_SIZE TORCHELASTIC_RUN_ID SLURM_NTASKS SLURM_NTASKS_PER_NODE"


@pytest.fixture
def surroundings(monkeypatch):
    """Set the environment variables of a cluster."""
    for name in VARIABLES.split():
        monkeypatch.delenv(name, raising=False)

    def surroundings(text):
        for name, value in (word.split("=") for word in text.split()):
            monkeypatch.setenv(name, value)

    return surroundings


def trainer_for_two(folder, monkeypatch):
    """The trainer for two GPUs, which are replaced by two processes on the CPU."""
    from k2d.config.training import Training
    from k2d.train import trainer as k2d_trainer

    trainer = k2d_trainer.Trainer
    monkeypatch.setattr(k2d_trainer, "Trainer", lambda **how: trainer(**{**how, "devices": 2, "strategy": "ddp"}))
    return k2d_trainer.make_trainer(Training(), folder, 0, [], 0)


@pytest.mark.parametrize(
    "variables",
    [
        "",
        "SLURM_JOB_ID=7 SLURM_JOB_NAME=k2d SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0",  # sbatch --ntasks=1
        "SLURM_JOB_ID=7 SLURM_JOB_NAME=k2d SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_LOCALID=0",  # sbatch --ntasks=4
        "SLURM_JOB_ID=7 SLURM_JOB_NAME=k2d SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=4 SLURM_PROCID=3 SLURM_LOCALID=3",
    ],
)
def test_lightning_starts_the_processes_in_a_slurm_job(tmp_path, monkeypatch, surroundings, variables):
    surroundings(f"{variables} SLURM_NODEID=0" if variables else "")
    trainer = trainer_for_two(tmp_path, monkeypatch)
    assert trainer.world_size == 2
    assert trainer.strategy.cluster_environment.creates_processes_externally is False


def test_torchrun_starts_its_processes_also_in_a_slurm_job(tmp_path, monkeypatch, surroundings):
    surroundings("SLURM_JOB_NAME=k2d SLURM_NTASKS=1 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NODEID=0")
    surroundings("TORCHELASTIC_RUN_ID=none RANK=1 LOCAL_RANK=1 WORLD_SIZE=2")
    trainer = trainer_for_two(tmp_path, monkeypatch)
    assert (trainer.global_rank, trainer.world_size) == (1, 2)
    assert trainer.strategy.cluster_environment.creates_processes_externally is True


def test_each_task_of_a_slurm_step_saves_its_model(tmp_path, monkeypatch, surroundings, fake):
    from k2d.config.training import Phase, Training
    from k2d.train.engine import Setting
    from k2d.train.lightning_parts import rank_zero_only
    from k2d.train.supervised import train_recogniser

    surroundings("SLURM_JOB_NAME=k2d SLURM_NTASKS=4 SLURM_PROCID=3 SLURM_LOCALID=3 SLURM_NODEID=0")
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # as Lightning's import sets it
    training = Training(phases={"all": Phase(steps=2, batch_size=4)})
    train_recogniser(
        fake.FakeRecogniser(),
        training,
        fake.material(),
        Setting(tmp_path, 5, n_workers=0),
        recipe=fake.recipe_of(training),
    )
    assert len((tmp_path / "curves.csv").read_text().splitlines()) == 3
    assert "all" in json.loads((tmp_path / "training.json").read_text())["phases"]
    assert list((tmp_path / "checkpoints").glob("*.json")) != []
