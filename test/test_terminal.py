"""`python -m k2d` at a terminal: a closed reader, Ctrl-C during imports, and a locale without the characters."""

import os
import subprocess
import sys
import textwrap

import pytest

from k2d.core.layout import PROJECT_ROOT

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_", "LANG"))}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def k2d(*words: str, stdout: int = subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "k2d", *words]
    environment = {**CLEAN, **environment}
    return subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, stdout=stdout, stderr=subprocess.PIPE, timeout=120, check=False
    )


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["config", "--help"], ["config", "--conf", "conf/mini.yaml"]], ids=" ".join
)
@pytest.mark.slow
def test_a_closed_reader_of_the_output_is_no_error(words):
    """As in `python -m k2d | head -1`: the reader has its line and closes the pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = k2d(*words, stdout=writer)
    finally:
        os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


INTERRUPTED = """
    import os, signal, time
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""
SWALLOWED = """
    import os, signal, time
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    except KeyboardInterrupt:
        raise ImportError("the compiled part cannot be imported")  # as numpy does
"""


@pytest.mark.parametrize(
    ("module", "code"),
    [("dataclasses", INTERRUPTED), ("yaml", INTERRUPTED), ("yaml", SWALLOWED)],
    ids=["the first modules", "those of a verb", "one that swallows it"],
)
def test_ctrl_c_during_imports_ends_quietly(tmp_path, module, code):
    (tmp_path / f"{module}.py").write_text(textwrap.dedent(code))
    done = k2d("config", "--conf", "conf/mini.yaml", PYTHONPATH=str(tmp_path))
    assert done.stderr == b"interrupted\n"
    assert done.returncode == 130


@pytest.mark.slow
def test_a_message_with_han_characters_is_printed_in_an_ascii_locale(tmp_path):
    (tmp_path / "wav.scp").write_text("課 a.wav\n", encoding="utf-8")
    (tmp_path / "utt2spk").write_text("課 s\n", encoding="utf-8")
    (tmp_path / "spk2utt").write_text("s 課 課二\n", encoding="utf-8")
    done = k2d("data", "validate", str(tmp_path), **ASCII)
    assert b"Traceback" not in done.stderr
    assert "wrong 's 課二'".encode() in done.stdout
    assert done.returncode == 1


@pytest.mark.slow
def test_a_name_that_is_not_utf_8_is_reported(tmp_path):
    """Its bytes are printed if the terminal accepts them, and escaped otherwise."""
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    for locale, shown in (
        (ASCII, b"/\xff"),
        ({"LC_ALL": "C.UTF-8"}, b"/"),
        ({"PYTHONIOENCODING": "utf-8"}, b"\\udcff"),
    ):
        done = k2d("data", "validate", str(folder), **locale)
        assert b"Traceback" not in done.stderr
        assert shown in done.stdout + done.stderr


@pytest.mark.slow
def test_a_terminal_of_another_encoding_gets_the_characters_that_it_has():
    done = k2d("--help", PYTHONIOENCODING="latin-1")
    assert done.returncode == 0
    assert b"usage: python -m k2d VERB \\u2026" in done.stdout
