"""Files and folders are complete or do not exist, whenever a process is killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from k2d.core.atomic import partial_folder, publish_folder, writing
from k2d.core.layout import PROJECT_ROOT


def test_a_failed_write_leaves_the_old_content_and_no_other_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), writing(path) as file:
        file.write("new, but only ha")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_lines_end_in_lf_and_text_is_utf8(tmp_path):
    with writing(tmp_path / "sub" / "a.txt") as file:
        file.write("課\n")
    assert (tmp_path / "sub" / "a.txt").read_bytes() == "課\n".encode()


def test_a_new_folder_replaces_the_old_one(tmp_path):
    final = tmp_path / "out"
    for content in ("first", "second"):
        partial = partial_folder(final)
        (partial / "sub").mkdir(parents=True)
        (partial / "sub" / "file").write_text(content)
        publish_folder(partial, final)
        assert (final / "sub" / "file").read_text() == content
        assert [p.name for p in tmp_path.iterdir()] == ["out"]


KILLED_WRITER = """
    import sys
    from pathlib import Path
    from k2d.core.atomic import partial_folder, publish_folder, writing
    folder = Path(sys.argv[1])
    print("ready", flush=True)
    n = 0
    while True:
        n += 1
        with writing(folder / "file") as file:
            file.write(f"{n}\\n" * 2000)
        partial = partial_folder(folder / "out")
        partial.mkdir(exist_ok=True)
        (partial / "a").write_text(f"{n}\\n" * 2000)
        (partial / "b").write_text(f"{n}\\n" * 2000)
        publish_folder(partial, folder / "out")
"""


@pytest.mark.parametrize("after_s", [0.0, 0.013, 0.05, 0.11, 0.2])
@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_only_complete_outputs(tmp_path, after_s):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(KILLED_WRITER), str(tmp_path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert writer.stdout is not None
    writer.stdout.readline()
    time.sleep(after_s)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    for path in (tmp_path / "file", tmp_path / "out" / "a", tmp_path / "out" / "b"):
        if path.exists():
            lines = path.read_text().splitlines()
            assert len(lines) == 2000
            assert len(set(lines)) == 1
    assert (tmp_path / "out" / "a").exists() == (tmp_path / "out" / "b").exists()
