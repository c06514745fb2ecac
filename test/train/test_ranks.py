"""Processes that train together end together, whichever of them ends first, and a rerun continues."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from k2d.core.layout import PROJECT_ROOT

pytestmark = pytest.mark.slow

SUPPORT = PROJECT_ROOT / "test" / "support"
LIMIT_S = 300  # for the start: a loaded machine imports for minutes


# A job of `sbatch --ntasks=1`, as its batch script sees it.
IN_SLURM = dict.fromkeys(("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID"), "0")
IN_SLURM |= {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "k2d", "SLURM_NTASKS": "1"}


def start(folder, step_s, **of_cluster):
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT_ROOT}:{SUPPORT}", "OMP_NUM_THREADS": "1", "STEP_S": step_s}
    environment |= of_cluster
    words = [sys.executable, str(SUPPORT / "train_ranks.py"), str(folder)]
    with (folder / "output").open("w") as output:
        return subprocess.Popen(words, env=environment, stdout=output, stderr=output, start_new_session=True)


def ranks(folder, leader):
    """The processes of ranks 0 and 1, once both are training."""
    until = time.monotonic() + LIMIT_S
    numbers = [folder / f"rank-{rank}.pid" for rank in (0, 1)]
    while not all(path.exists() for path in numbers):
        assert leader.poll() is None, (folder / "output").read_text()
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


@pytest.fixture
def ended(request):
    """End all started processes after the test, with any result."""
    started = []
    yield started.append
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_rank_that_dies_ends_the_training_with_the_reason_and_a_rerun_continues(tmp_path, ended):
    folder = tmp_path / "x"
    leader = start(folder, "0.3")
    ended(leader)
    _, second = ranks(folder, leader)
    while not last_checkpoint(folder):
        assert leader.poll() is None, (folder / "output").read_text()
        time.sleep(0.02)
    os.kill(second, signal.SIGKILL)
    assert leader.wait(60) == 1
    output = (folder / "output").read_text()
    reason = "rank 1 of the training died (signal SIGKILL); its own messages, if any, are above; run the same command "
    assert [line for line in output.splitlines() if "rank 1 of the training died" in line] == [
        f"{'train_ranks: ' if 'train_ranks: ' in output else ''}{reason}again to continue from the last checkpoint"
    ]
    assert "Traceback" not in output

    again = start(folder, "0")
    ended(again)
    assert again.wait(LIMIT_S) == 0, (folder / "output").read_text()
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
        leader.send_signal(number)
    assert leader.wait(60) == code
    until = time.monotonic() + 2.0
    while is_alive(second) and time.monotonic() < until:
        time.sleep(0.02)
    assert not is_alive(second)
    assert bool(last_checkpoint(folder)) == (name != "SIGKILL")
    assert "Traceback" not in (folder / "output").read_text()


def test_a_death_is_reported_although_the_first_process_waits_for_ever():
    """For example in a collective operation on GPUs, which does not notice it."""
    script = """
        import subprocess, sys, time
        from lightning.pytorch.strategies.launchers import subprocess_script
        from k2d.train import ranks
        ranks.GRACE_S = 0.1
        with ranks.watching_ranks():
            command = "import sys; sys.stdin.read(1); sys.exit(3)"
            processes = [subprocess.Popen([sys.executable, "-c", command], stdin=subprocess.PIPE) for _ in range(2)]
            subprocess_script._launch_process_observer(processes)
            processes[1].communicate(b"x")
            time.sleep(3000)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "rank 2 of the training died (exit code 3); its own messages, if any, are above; "
        "run the same command again to continue from the last checkpoint"
    )


def test_a_failure_before_the_first_step_is_not_hidden_by_another():
    from k2d.train.callbacks import Bookkeeping
    from k2d.train.records import PhaseRecord

    Bookkeeping("all", 0, PhaseRecord(), None).on_exception(None, None, RuntimeError("the first"))
