"""A terminated stage cleans up, and prints what is kept and how to continue."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys

import pytest
from made_recordings import sound

from k2d.core.layout import Layout
from k2d.core.signals import Ended, ending_on_signals
from k2d.decode import cli
from k2d.inference.answer_cache import Answer, write_answer
from k2d.pipeline.answer_parts import new_part
from k2d.pipeline.kept_progress import describe_kept

GO_ON = "run the same command again to continue"


@pytest.fixture
def toys(project):
    """A project with two toy stages, 2 and 3."""
    project.without_stages()
    project.add_toy_stage("tokens", "tokens")
    project.add_toy_stage("teacher", "models/teacher")
    return project


def start(project, *words, trouble="wait"):
    """Start a command whose stage 2 waits, in its own process group."""
    environment = {**project.environment, "PYTHONPATH": str(project.root), "TOY_tokens": trouble}
    process = subprocess.Popen(
        words,
        env=environment,
        cwd=project.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert any("tokens works" in line for line in process.stdout)
    return process


@pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("HUP", 129), ("INT", 130)])
@pytest.mark.slow
def test_a_terminated_stage_cleans_up_and_prints_how_to_continue(toys, name, code):
    stage = start(toys, sys.executable, "-m", "k2d", "tokens", "name=x")
    stage.send_signal(getattr(signal, f"SIG{name}"))
    _, errors = stage.communicate(timeout=60)
    assert stage.returncode == code
    assert errors == f"python -m k2d tokens: interrupted (SIG{name}); finished units are kept; {GO_ON}\n"
    assert [path.name for path in (toys.root / "exp/x").iterdir() if "tokens" in path.name and path.is_dir()] == []
    assert f"interrupted (SIG{name})" in (toys.root / "exp/x/log/02.tokens.log").read_text()
    assert toys.k2d("tokens", "name=x").returncode == 0  # and nobody holds the lock


@pytest.mark.slow
def test_ctrl_c_in_run_sh_prints_the_command_to_continue(toys):
    run = start(toys, str(toys.root / "run.sh"), "name=x", "--nj", "1")
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert f"interrupted (SIGINT); finished units are kept; {GO_ON}" in errors
    assert "stage 2 (tokens) was interrupted, exit code 130\n" in errors
    assert "failed" not in errors
    assert "log:    exp/x/log/02.tokens.log" in errors
    (resume,) = re.findall(r"resume: (.+)", errors)
    assert toys.command(*shlex.split(resume)).returncode == 0


@pytest.mark.parametrize("name", ["TERM", "KILL"])
@pytest.mark.slow
def test_a_stage_ends_with_run_sh(toys, name):
    run = start(toys, str(toys.root / "run.sh"), "name=x")
    stage = json.loads((toys.root / "exp/.x.lock").read_text())["pid"]
    assert stage != run.pid
    run.send_signal(getattr(signal, f"SIG{name}"))
    _, errors = run.communicate(timeout=60)  # until the stage, too, has let go of them
    assert run.returncode == -getattr(signal, f"SIG{name}")
    assert "python -m k2d tokens: interrupted (SIGTERM); finished units are kept" in errors


def test_a_second_signal_does_not_interrupt_the_clean_up():
    cleaned = []
    with pytest.raises(Ended, match=r"interrupted \(SIGTERM\)"), ending_on_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            cleaned.append(True)
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_an_ignored_signal_stays_ignored(monkeypatch):
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with ending_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_kept_work_is_counted_on_the_disk(tmp_path):
    layout = Layout(tmp_path.parent / "data", tmp_path)
    output = layout.pseudo_labels("lab/train")
    assert describe_kept(output, layout) == f"finished units are kept; {GO_ON}"
    cache = tmp_path / "cache" / "pseudo" / "lab" / "train" / "0123456789abcdef"
    cache.mkdir(parents=True)
    answers = [write_answer(Answer(name, 1.0, {}, None)) for name in ("r1", "r2", "r3")]
    new_part(cache, 0).write_text("".join(answers[:2]) + answers[2][:9])  # half a line is no answer
    assert describe_kept(output, layout) == f"finished units and 2 finished recordings of train are kept; {GO_ON}"

    student = tmp_path / "models" / "k2d-s1"
    checkpoints = tmp_path / "work" / "k2d-s1" / "checkpoints"
    checkpoints.mkdir(parents=True)
    for name in ("step-00000400.json", "step-00001200.json", "step-00001300.pt"):
        (checkpoints / name).touch()
    kept = "finished units and the training of k2d-s1 up to step 1,200 are kept"
    assert describe_kept(student, layout) == f"{kept}; {GO_ON}"
    assert describe_kept(tmp_path.parent / "data", layout) == f"finished units are kept; {GO_ON}"


@pytest.mark.slow
def test_an_interrupted_transcribe_prints_which_files_are_written(tmp_path, monkeypatch):
    from k2d.data.rows import Hypothesis

    def decode_then_ctrl_c(_model, sources, *_, **__):
        yield Hypothesis(sources[0].id, 1.0, (), ())
        raise Ended(signal.SIGINT)

    for name in ("a.wav", "b.wav"):
        sound(tmp_path / name)
    monkeypatch.setattr("k2d.decode.long_recordings.decode_recordings", decode_then_ctrl_c)
    monkeypatch.setattr("k2d.models.registry.load_recogniser", lambda *_, **__: None)
    with pytest.raises(Ended) as caught:
        cli.main(["--model", "m", "--out", str(tmp_path / "out"), str(tmp_path)])
    assert str(caught.value) == (
        f"interrupted (SIGINT); 1 of 2 files are transcribed to {tmp_path / 'out'}; "
        "run it again with the other files to continue"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.txt"]
