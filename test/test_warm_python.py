"""The replacement for `python` in tests of commands: its caller gets the same results as from Python itself."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def python(project, code):
    return project.command(project.environment["K2D_PYTHON"], "-c", code)


def test_streams_exit_codes_and_signals_are_passed_on(warm_project):
    done = python(warm_project, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)")
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    done = python(warm_project, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)")
    assert done.returncode == -signal.SIGTERM


def test_a_command_runs_the_code_of_its_own_folder(warm_project):
    warm_project.without_stages()
    warm_project.add_toy_stage("tokens", "toy")
    words = ("--stage", "2", "--stop-stage", "2")
    broken = warm_project.run(*words, TOY_tokens="raise")
    assert broken.returncode == 1
    assert "tokens works" in broken.stdout
    assert "RuntimeError: the toy broke" in broken.stderr
    killed = warm_project.run(*words, TOY_tokens="killed")
    assert killed.returncode == 137
    assert "stage 2 (tokens) failed, exit code 137 (signal 9)" in killed.stderr
    assert warm_project.run(*words).returncode == 0
    assert (warm_project.root / "exp" / "mini" / "toy" / "result").is_file()


def test_a_command_ends_with_its_caller(warm_project):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    running = subprocess.Popen([warm_project.environment["K2D_PYTHON"], "-c", code], stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    command = Path("/proc", running.stdout.readline().strip())
    assert command.is_dir()
    running.kill()
    running.communicate()
    until = time.monotonic() + 30
    while command.is_dir() and time.monotonic() < until:
        time.sleep(0.02)
    assert not command.is_dir()
