"""Two runs on one folder: the second is told who holds it; a killed holder holds nothing."""

import os
import subprocess
import sys
import threading
import time

import pytest

from k2d.faults import K2DError
from k2d.lock import holding, taking_turns
from k2d.paths import PROJECT_ROOT

HOLDER = """
import sys, time
from pathlib import Path
from k2d.lock import holding
with holding(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "exp")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_told_who_holds_it(tmp_path, holder):
    with (
        pytest.raises(K2DError, match=f"exp is in use by process {holder.pid} on .* since 20"),
        holding(tmp_path / "exp"),
    ):
        pytest.fail("both hold it")


def test_a_killed_holder_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    with holding(tmp_path / "exp"):
        pass


def test_it_is_free_again_after_the_block_and_other_folders_are_always_free(tmp_path):
    with holding(tmp_path / "a"), holding(tmp_path / "b"):
        pass
    with holding(tmp_path / "a"):
        pass


def test_taking_turns_the_second_waits_and_says_for_whom(tmp_path, holder, caplog):
    caplog.set_level("INFO", logger="k2d")
    order = []

    def wait():
        with taking_turns(tmp_path / "exp"):
            order.append("second")

    waiting = threading.Thread(target=wait)
    waiting.start()
    until = time.monotonic() + 60
    while not caplog.records and time.monotonic() < until:
        time.sleep(0.01)
    assert f"exp: waiting for process {holder.pid} on " in caplog.text
    order.append("first")
    holder.kill()  # however it ends
    waiting.join(60)
    assert order == ["first", "second"]
