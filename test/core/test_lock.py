"""Two runs on one folder: the second is shown who holds the lock. A killed process releases it."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT
from k2d.core.lock import holding, taking_turns

HOLDER = """
import sys, time
from pathlib import Path
from k2d.core.lock import holding
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


def test_the_second_run_is_shown_who_holds_the_lock(tmp_path, holder):
    with (
        pytest.raises(K2DError, match=f"exp is in use by process {holder.pid} on .* since 20"),
        holding(tmp_path / "exp"),
    ):
        pytest.fail("both hold it")


def test_a_killed_holder_releases_the_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    with holding(tmp_path / "exp"):
        pass


def test_a_lock_is_released_after_the_block_and_locks_only_its_folder(tmp_path):
    with holding(tmp_path / "a"), holding(tmp_path / "b"):
        pass
    with holding(tmp_path / "a"):
        pass


JUNK = {
    "a list": b"[1]",
    "a number": b"7",
    "a word": b'"host"',
    "nothing": b"",
    "half a line": b'{"host": "here", "pid": 12',
    "another object": b'{"pid": 12}',
    "no text": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("content", JUNK.values(), ids=JUNK)
def test_a_folder_is_locked_with_any_content_of_the_lock_file(tmp_path, content):
    lock_file = tmp_path / ".exp.lock"
    lock_file.write_bytes(content)
    with lock_file.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(K2DError, match="exp is in use by another run; wait"), holding(tmp_path / "exp"):
            pytest.fail("both hold it")
    with holding(tmp_path / "exp"):  # and it is no obstacle once it is free
        pass


def test_a_folder_is_locked_on_a_full_disk_without_the_holders_name(tmp_path):
    """/dev/full can be locked but not written."""
    (tmp_path / ".exp.lock").symlink_to("/dev/full")
    with ExitStack() as stack:
        stack.enter_context(holding(tmp_path / "exp"))
        with pytest.raises(K2DError, match="exp is in use by another run"), holding(tmp_path / "exp"):
            pytest.fail("both hold it")


def test_the_second_process_waits_and_reports_for_whom(tmp_path, holder, caplog):
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
