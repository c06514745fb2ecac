"""Errors of the operating system become a message with path, cause and remedy. Bugs of the toolkit keep a traceback."""

import errno
import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from k2d.__main__ import TOOLS, main
from k2d.core import system_errors
from k2d.core.atomic import try_writing
from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.runner import open_log

ROOM = "free space there (TMPDIR names another folder for temporary files), then run the same command again"
IN_THE_WAY = "a file stands where a folder is needed: move it away, or name another place"


@pytest.fixture
def texts(tmp_path):
    """A reference and a hypothesis."""
    for name in ("ref", "hyp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text").write_text("u1 hello\nu2 你好\n", encoding="utf-8")
    return str(tmp_path / "ref" / "text"), str(tmp_path / "hyp" / "text")


@pytest.fixture
def in_the_way(tmp_path):
    (tmp_path / "existing").write_text("mine\n")
    yield tmp_path / "existing"
    assert (tmp_path / "existing").read_text() == "mine\n"


def output_of(capsys, *words):
    """The output of a command that fails because of an error of the system."""
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize("place", ["existing", "existing/below"])
def test_score_out_refuses_the_path_of_a_file(capsys, texts, in_the_way, place):
    ref, hyp = texts
    place = in_the_way.parent / place
    message = output_of(capsys, "score", "--ref", ref, "--hyp", hyp, "--out", str(place))
    assert message.startswith(f"python -m k2d score: {in_the_way}")
    assert message.endswith(f"; {IN_THE_WAY}\n")


def test_a_data_directory_below_a_file(capsys, tmp_path, in_the_way):
    (tmp_path / "data").mkdir()
    for name, line in {"wav.scp": "a a.wav", "utt2spk": "a a", "spk2utt": "a a", "text": "a hello"}.items():
        (tmp_path / "data" / name).write_text(f"{line}\n")
    message = output_of(capsys, "data", "copy", str(tmp_path / "data"), str(in_the_way / "copy"))
    assert message == f"python -m k2d data: {in_the_way}: Not a directory; {IN_THE_WAY}\n"


def test_transcribe_checks_its_destination_before_it_decodes(capsys, in_the_way, monkeypatch):
    audio = in_the_way.parent / "a.wav"
    soundfile.write(audio, np.zeros(16000), 16000)
    words = ("transcribe", "--model", str(in_the_way.parent / "no model"), str(audio), "--out")
    message = output_of(capsys, *words, str(in_the_way / "out"))
    assert message == f"python -m k2d transcribe: {in_the_way}: Not a directory; {IN_THE_WAY}\n"
    assert output_of(capsys, *words, str(in_the_way)) == message
    full = in_the_way.parent / "full"
    monkeypatch.setattr("k2d.core.file_calls.flush", no_room)
    assert (
        output_of(capsys, *words, str(full)) == f"python -m k2d transcribe: {full}: No space left on device; {ROOM}\n"
    )
    assert list(full.iterdir()) == []
    (full / "a.txt").mkdir()
    assert main([*words, str(full)]) == 2
    assert f"{full}/a.txt: is a folder, expected a place for a file" in capsys.readouterr().err


def no_room(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_failed_write_without_a_file_name_is_reported_for_the_full_disk(capsys, texts, monkeypatch, tmp_path):
    """The full disk is that of TMPDIR, where tables are sorted."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setattr("k2d.select.cli.demand_same_ids", no_room)
    usage = shutil.disk_usage(tmp_path)
    full = usage._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: full if place == scratch else usage)
    message = output_of(capsys, "distance", "--a", texts[0], "--b", texts[1])
    assert message == f"python -m k2d distance: {scratch}: No space left on device; {ROOM}\n"
    monkeypatch.setattr(shutil, "disk_usage", lambda place: full if place == tmp_path else usage)
    message = output_of(
        capsys, "distance", "--a", texts[0], "--b", texts[1], "--lexicon", str(tmp_path / "not" / "there")
    )
    assert message.startswith(f"python -m k2d distance: {tmp_path}: No space left on device; ")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    message = output_of(capsys, "distance", "--a", texts[0], "--b", texts[1])
    assert message.startswith(
        "python -m k2d distance: standard output, or a file that the system does not name: No space"
    )


def test_no_folder_for_temporary_files(capsys, texts, monkeypatch):
    def nowhere():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", nowhere)
    assert "No usable temporary directory found in ['/tmp']; " in output_of(
        capsys, "distance", "--a", texts[0], "--b", texts[1]
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("verb", ["config", "stages", "--help"])
@pytest.mark.slow
def test_a_full_disk_for_standard_output_is_reported_without_a_traceback(verb, unbuffered):
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:  # noqa: PTH123  # never by a name that something could be renamed to
        command = [sys.executable, "-m", "k2d", verb]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"python -m k2d {verb}: standard output")
    assert done.stderr.endswith(f": No space left on device; {ROOM}\n")
    assert done.stderr.count("\n") == 1


def test_each_error_has_its_remedy_and_names_the_path(capsys, monkeypatch):
    for code, remedy in system_errors.REMEDIES.items():
        refused(monkeypatch, OSError(code, os.strerror(code), "exp/x/.a.partial", None, "exp/x/a"))
        assert output_of(capsys, "config") == f"python -m k2d config: exp/x/a: {os.strerror(code)}; {remedy}\n"


def refused(monkeypatch, error):
    def run(_):
        raise error

    monkeypatch.setattr("k2d.config.cli.main", run)
    assert TOOLS["config"][0] == "k2d.config.cli"


@pytest.mark.parametrize(
    "error",
    [OSError("a library's own"), OSError(errno.EBADF, "Bad file descriptor"), RuntimeError("broken"), KeyError("x")],
)
def test_a_bug_of_the_toolkit_keeps_its_traceback(monkeypatch, error):
    refused(monkeypatch, error)
    with pytest.raises(type(error)) as raised:
        main(["config"])
    assert raised.value is error


def test_a_full_disk_is_reported_if_a_library_raises_another_error(capsys, monkeypatch):
    """torch.save reports a failed write as a RuntimeError of its own."""
    full = RuntimeError("unexpected pos 704 vs 598")
    full.__context__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.pth")
    refused(monkeypatch, full)
    assert output_of(capsys, "config") == f"python -m k2d config: model.pth: No space left on device; {ROOM}\n"
    handled = RuntimeError("a bug, met while a missing file was dealt with")
    handled.__context__ = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x")
    refused(monkeypatch, handled)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["config"])


def test_a_librarys_error_is_translated_only_if_the_disk_is_full(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    for free in (0, 1 << 30):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage._replace(free=free))
        expected = "iostream error" if free else f"No space left on device: '{tmp_path}/model.pth'"
        with (
            pytest.raises(RuntimeError if free else OSError, match=expected),
            system_errors.reporting_full_disk(tmp_path / "model.pth"),
        ):
            raise RuntimeError("iostream error")


def test_a_log_on_a_full_disk_is_dropped_silently(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("faulthandler.enable", lambda _: None)
    (tmp_path / "01.prepare.log").symlink_to("/dev/full")
    log, only_file = logging.getLogger("k2d"), logging.getLogger("k2d.file")
    kept = log.handlers, log.level, log.propagate, only_file.handlers, only_file.propagate
    try:
        open_log(tmp_path / "01.prepare.log")
        log.info("in 3 = kept 3")
        printed = capsys.readouterr()
    finally:
        log.handlers, log.level, log.propagate, only_file.handlers, only_file.propagate = kept
    assert (printed.out, printed.err) == ("in 3 = kept 3\n", "")


def test_a_probe_leaves_nothing_and_makes_its_folder(tmp_path):
    try_writing(tmp_path / "one" / "two")
    assert list((tmp_path / "one" / "two").iterdir()) == []
