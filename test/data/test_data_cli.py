"""The commands from outside: exit codes, messages, and Kaldi's names for them."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from k2d.__main__ import main as k2d_main
from k2d.core.layout import PROJECT_ROOT


def call(*words, cwd=None, **environment):
    """python -m k2d data WORD…"""
    command = [sys.executable, "-m", "k2d", "data", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)


def run(capsys, *words):
    """The same in this process, which is faster. Returns exit code and output."""
    return both(capsys, *words)[:2]


def both(capsys, *words):
    """The same with what is written to the error stream."""
    code = k2d_main(["data", *map(str, words)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_valid_directory_ends_in_0_and_a_summary(make_dir):
    folder = make_dir()
    result = call("validate", "--audio", "none", folder)
    assert (result.returncode, result.stderr) == (0, "")
    expected = (
        f"{folder}: valid: 3 utterances, 3 recordings, 2 speakers; 0 errors, 0 bad items, 0 normalised, 0 warnings"
    )
    assert result.stdout.splitlines() == [expected]


def test_faults_end_in_1_and_are_all_reported(make_dir, capsys):
    good = make_dir(name="good")
    bad = make_dir("whole", {"text": "a-1 x\n../b y\n", "utt2dur": "a-1 -1\n"}, "bad one")
    code, out = run(capsys, "validate", "--audio", "none", good, bad)
    assert code == 1
    lines = out.splitlines()
    assert f"error: {bad}/text:2: the utterance id '../b' contains '/'; choose another id [bad_id]" in lines
    assert any(line.startswith(f"error: {bad}/utt2dur:1: expected a duration in seconds above 0") for line in lines)
    assert lines[-1].startswith(f"{bad}: NOT valid: 3 utterances, ")


def test_bad_items_end_in_1(make_dir, capsys, tmp_path):
    code, out = run(capsys, "validate", "--audio", "exists", "--root", tmp_path, make_dir())
    assert code == 1
    assert "3 bad items" in out.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("validate",),
        ("validate", "--audo", "none", "x"),
        ("validate", "--audio", "loud", "x"),
        ("validate", "--nj", "0", "x"),
        ("validate", "--root", "/nowhere", "x"),
        ("subset", "src", "dest"),
        ("subset", "src", "many", "dest"),
        ("subset", "--first", "--last", "src", "1", "dest"),
        ("combine", "dest"),
    ],
)
def test_a_wrong_call_ends_in_2(capsys, words):
    try:
        code = k2d_main(["data", *words])
    except SystemExit as stop:  # argparse's way
        code = stop.code
    assert code == 2
    assert capsys.readouterr().err


def test_a_wrong_call_from_outside(make_dir):
    result = call("validate", "--nj", "0", make_dir())
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith("error: argument --nj: found '0', expected a whole number from 1 to 1,024\n")


def test_a_directory_that_cannot_be_fixed_ends_in_1_without_a_traceback(make_dir):
    result = call("fix", "--audio", "none", make_dir("whole", {"text": b"a-1 \xff\n"}))
    assert result.returncode == 1
    assert "invalid UTF-8 at byte offset 4 (0xff)" in result.stderr
    assert "Traceback" not in result.stderr


def test_json(make_dir, capsys):
    code, out = run(
        capsys, "validate", "--json", "--audio", "none", make_dir("whole", {"text": "a-1 x\na-2\nb-1 \0\n"})
    )
    (found,) = json.loads(out)
    assert code == 1
    assert (found["valid"], found["utterances"]) == (False, 3)
    assert list(found["counts"]) == ["reject", "quarantine", "normalise", "warn"]  # programs read these
    assert found["counts"]["reject"] == {"control_character": 1}
    assert found["counts"]["warn"] == {"empty_transcript": 1}
    assert {(each["code"], each["line"], each["treatment"]) for each in found["examples"]} == {
        ("control_character", 3, "reject"),
        ("empty_transcript", 2, "warn"),
    }


def test_fix_subset_combine_copy(make_dir, capsys, tmp_path):
    folder = make_dir("whole", {"text": "b-1 z\r\na-1 x\na-2 y\n"})
    code, out = run(capsys, "fix", "--audio", "none", folder)
    assert (code, out) == (0, f"{folder}: in 3 = kept 3; wrote text (before: .backup/)\n")
    assert run(capsys, "subset", "--first", folder, 2, tmp_path / "one") == (
        0,
        f"{tmp_path}/one: in 3 = kept 2 + not chosen 1\n",
    )
    (tmp_path / "list").write_text("b-1\nnobody\n")
    code, out = run(capsys, "subset", "--utt-list", tmp_path / "list", folder, tmp_path / "two")
    assert out.splitlines()[0] == f"{tmp_path}/list: 1 of its ids are not in {folder}"
    assert run(capsys, "combine", tmp_path / "all", tmp_path / "one", tmp_path / "two")[0] == 0
    assert (tmp_path / "all" / "text").read_text() == "a-1 x\na-2 y\nb-1 z\n"
    code, out = run(capsys, "copy", "--utt-prefix", "X-", folder, tmp_path / "copy")
    assert out.splitlines()[-1] == f"{tmp_path}/copy: 3 utterances"
    assert (tmp_path / "copy" / "text").read_text() == "X-a-1 x\nX-a-2 y\nX-b-1 z\n"


def test_a_list_of_ids_is_read_in_nfc_as_ids_are(make_dir, capsys, tmp_path):
    """A list from a Mac has é as e and an accent. It looks the same as the id in the directory."""
    key = "\u00e9-1"
    files = {"wav.scp": f"{key} x.wav\n", "text": f"{key} x\n", "utt2spk": f"{key} s\n", "spk2utt": f"s {key}\n"}
    folder = make_dir("whole", {**files, "utt2dur": None})
    (tmp_path / "list").write_text("e\u0301-1\n", encoding="utf-8")
    code, out = run(capsys, "subset", "--utt-list", tmp_path / "list", folder, tmp_path / "one")
    assert (code, out) == (0, f"{tmp_path}/one: in 1 = kept 1 + not chosen 0\n")
    assert both(capsys, "subset", "--utt-list", tmp_path, folder, tmp_path / "two") == (
        1,
        "",
        f"python -m k2d data: {tmp_path}: cannot be read: Is a directory\n",
    )


def test_a_destination_is_not_overwritten_without_force(make_dir, capsys, tmp_path):
    folder = make_dir()
    make_dir(name="there")
    code, _, errors = both(capsys, "copy", folder, tmp_path / "there")
    assert code == 1
    assert "exists and is not empty; choose another destination, or --force" in errors
    assert run(capsys, "copy", "--force", folder, tmp_path / "there")[0] == 0


@pytest.fixture
def elsewhere(tmp_path):
    """The wrappers in a copy of the project under a path with spaces."""
    root = tmp_path / "my project's 课"
    for name in ("k2d", "utils"):
        shutil.copytree(PROJECT_ROOT / name, root / name, ignore=shutil.ignore_patterns("*.pyc.*"))

    def wrapper(name, *words):
        command = [str(root / "utils" / name), *map(str, words)]
        environment = {**os.environ, "K2D_PYTHON": sys.executable}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)

    return wrapper


@pytest.mark.slow
def test_kaldis_names_and_argument_orders(elsewhere, make_dir, tmp_path):
    folder = make_dir("whole", {"text": None}, "a data dir")
    options = ("--no-text", "--no-feats", "--non-print", "--no-wav", "--audio", "none")
    result = elsewhere("validate_data_dir.sh", *options, folder)
    assert (result.returncode, result.stderr) == (0, "")
    assert elsewhere("validate_data_dir.sh", "--audio", "none", folder).returncode == 1
    result = elsewhere("subset_data_dir.sh", "--per-spk", folder, 1, tmp_path / "one each")
    assert result.stdout == f"{tmp_path}/one each: in 3 = kept 2 + not chosen 1\n"
    result = elsewhere("combine_data.sh", tmp_path / "all of it", folder, tmp_path / "one each")
    assert result.stdout == f"{tmp_path}/all of it: 3 utterances\n"
    result = elsewhere("fix_data_dir.sh", folder, "--no-text", "--audio", "none")
    assert result.stdout == f"{folder}: in 3 = kept 3; nothing to change\n"
    assert elsewhere("combine_data.sh").returncode == 2
