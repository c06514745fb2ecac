"""Processes that train together end together, whichever of them ends first, and a rerun continues."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from forked import PYTHONPATH, started

pytestmark = pytest.mark.slow

LIMIT_S = 300  # for the start: a loaded machine imports for minutes


# A job of `sbatch --ntasks=1`, as its batch script sees it.
IN_SLURM = dict.fromkeys(("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"), "0")
IN_SLURM |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "k2d", "SLURM_NTASKS": "1"}


def start(folder, step_s, **of_cluster):
    """Start the first process, which starts the second: a fork of it, or in Slurm by running the command once more."""
    folder.mkdir(exist_ok=True)
    of_cluster = {**(of_cluster or {"FORKS": "1"}), "PYTHONPATH": PYTHONPATH, "STEP_S": step_s}
    return started("train_ranks:main", folder, output=folder / "output", **of_cluster)


def ranks(folder, leader):
    """The processes of ranks 0 and 1, once both are training."""
    until = time.monotonic() + LIMIT_S
    numbers = [folder / f"rank-{rank}.pid" for rank in (0, 1)]
    while not all(path.exists() for path in numbers):
        assert leader.exitcode is None, (folder / "output").read_text()
        assert time.monotonic() < until
        time.sleep(0.05)
    first, second = (int(path.read_text()) for path in numbers)
    assert first == leader.pid
    return first, second


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def last_checkpoint(folder):
    return max((path.name for path in (folder / "checkpoints").glob("*.json")), default="")


def code_of(process, limit_s=LIMIT_S):
    """How a process ended, once it has."""
    process.join(limit_s)
    return process.exitcode


@pytest.fixture
def ended(request):
    """End all started processes after the test, with any result."""
    started = []
    yield started.append
    for process in started:
        if process.exitcode is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.join()


def test_a_rank_that_dies_ends_the_training_with_the_reason_and_a_rerun_continues(tmp_path, ended):
    folder = tmp_path / "x"
    leader = start(folder, "0.3")
    ended(leader)
    _, second = ranks(folder, leader)
    while not last_checkpoint(folder):
        assert leader.exitcode is None, (folder / "output").read_text()
        time.sleep(0.02)
    os.kill(second, signal.SIGKILL)
    assert code_of(leader, 60) == 1
    output = (folder / "output").read_text()
    reason = "rank 1 of the training died (signal SIGKILL); its own messages, if any, are above; run the same command "
    assert [line for line in output.splitlines() if "rank 1 of the training died" in line] == [
        f"{'train_ranks: ' if 'train_ranks: ' in output else ''}{reason}again to continue from the last checkpoint"
    ]
    assert "Traceback" not in output

    again = start(folder, "0")
    ended(again)
    assert code_of(again) == 0, (folder / "output").read_text()
    record = json.loads((folder / "training.json").read_text())
    assert len(record["resumed_after"]) == 1
    assert record["resumed_after"][0] >= 4
    assert len((folder / "curves.csv").read_text().splitlines()) == 11


@pytest.mark.parametrize(
    ("name", "code", "of_cluster"),
    [
        # Lightning by itself would train with one process here, as Slurm started one task.
        pytest.param("SIGTERM", 143, IN_SLURM, id="Slurm cancels its job"),
        pytest.param("SIGINT", 130, {}, id="Ctrl-C"),
        pytest.param("SIGKILL", -9, {}, id="kill -9"),
    ],
)
def test_the_other_ranks_end_with_the_first_and_a_checkpoint_is_saved(tmp_path, ended, name, code, of_cluster):
    folder = tmp_path / "x"
    leader = start(folder, "0.3", **of_cluster)
    ended(leader)
    _, second = ranks(folder, leader)
    number = getattr(signal, name)
    if number == signal.SIGINT:
        os.killpg(leader.pid, number)
    else:
        os.kill(leader.pid, number)
    assert code_of(leader, 60) == code
    until = time.monotonic() + 2.0
    while is_alive(second) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(second)
    assert bool(last_checkpoint(folder)) == (name != "SIGKILL")
    assert "Traceback" not in (folder / "output").read_text()


def test_a_death_is_reported_although_the_first_process_waits_for_ever(tmp_path, ended):
    """For example in a collective operation on GPUs, which does not notice it."""
    waiting = started("train_ranks:wait_for_ever_while_the_second_dies", output=tmp_path / "output")
    ended(waiting)
    assert code_of(waiting) == 1
    assert (tmp_path / "output").read_text().strip() == (
        "rank 2 of the training died (exit code 3); its own messages, if any, are above; "
        "run the same command again to continue from the last checkpoint"
    )


def test_a_failure_before_the_first_step_is_not_hidden_by_another():
    from k2d.train.callbacks import Bookkeeping
    from k2d.train.records import PhaseRecord

    Bookkeeping("all", 0, PhaseRecord(), None).on_exception(None, None, RuntimeError("the first"))
