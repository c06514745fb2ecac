"""Children end with their parent, in whatever way it ends and whatever they are doing."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from troubled import process_id

from k2d.core.layout import PROJECT_ROOT
from k2d.core.workers import run_each

SUPPORT = PROJECT_ROOT / "test" / "support"
GONE_WITHIN_S = 2.0
N_CHILDREN = {"crew": 3, "workers": 2, "workers_of_a_thread": 2, "programs": 2, "loaders": 2}
CODES = {"SIGTERM": 143, "SIGINT": 130, "SIGHUP": 129, "SIGKILL": -9}


def is_alive(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def survivors(processes):
    """The processes that still run although they should have ended."""
    until = time.monotonic() + GONE_WITHIN_S
    while (left := [p for p in processes if is_alive(p)]) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def children_of(process):
    """All descendants of a process, from the kernel's tables."""
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *children_of(int(child))]
    return found


@pytest.fixture
def start():
    """Start a parent in its own process group. Yields it and its children when they are all busy."""
    started = []

    def parent_of(kind):
        environment = {**os.environ, "PYTHONPATH": f"{PROJECT_ROOT}:{SUPPORT}", "OMP_NUM_THREADS": "1"}
        words = [sys.executable, str(SUPPORT / "parents.py"), kind]
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
        started.append(process)
        busy = {int(process.stdout.readline()) for _ in range(N_CHILDREN[kind])}
        children = children_of(process.pid)
        assert busy <= set(children)
        return process, children

    yield parent_of
    for process in started:
        process.stdout.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end(process, name):
    """End a process as a terminal does (Ctrl-C goes to the whole group), or as `kill` does."""
    number = getattr(signal, name)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(60) == CODES[name]


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("kind", ["crew", "workers", "workers_of_a_thread", "programs"])
@pytest.mark.slow
def test_workers_end_with_their_parent(start, kind, name):
    process, children = start(kind)
    end(process, name)
    assert survivors(children) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGKILL"])
def test_loaders_of_a_training_end_with_it(start, name):
    process, children = start("loaders")
    end(process, name)
    assert survivors(children) == []


def test_a_worker_outlives_the_thread_that_started_it():
    outcomes = run_each(process_id, range(2), nj=1)
    first = []
    thread = threading.Thread(target=lambda: first.append(next(outcomes)))
    thread.start()
    thread.join()
    (second,) = outcomes
    assert second.error == ""
    assert second.value == first[0].value
