"""Stage 1 on the mini corpus, in its smoke form, from outside."""

import shutil
import signal
import subprocess
import time

import pytest
from commands_here import k2d

SPLITS = {
    "course_test",
    "lectures",
    "lectures_dev",
    "lectures_test",
    "lectures_truth",
    "pool",
    "pool_dev",
    "read_test",
    "talk_dev",
    "talk_test",
}


def data_of(warm_project):
    """Every file of the data directories but the stamp (which holds times), by name."""
    folder = warm_project.root / "data" / "smoke" / "mini"
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(name): (folder / name).read_bytes() for name in names if name.name != "stamp.json"}


def audio_of(warm_project):
    folder = warm_project.root / "data" / "smoke" / "raw" / "mini" / "audio"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


SMALL = "prepare.options.mini.pool=40"


def prepare(warm_project, *words):
    return warm_project.run("--conf", "conf/smoke.yaml", "--stop-stage", "1", SMALL, *words)


@pytest.mark.slow
def test_a_killed_preparation_is_continued_with_the_same_result(warm_project):
    done = prepare(warm_project, "--nj", "2")
    assert done.returncode == 0, done.stderr
    data, audio = data_of(warm_project), audio_of(warm_project)
    assert {name.split("/")[0] for name in data} == SPLITS
    assert b"data/smoke/raw/mini/audio/pool/" in data["pool/wav.scp"].splitlines()[0]
    assert "lectures/text" not in data
    folder = warm_project.root / "data" / "smoke" / "mini"
    at_root = ["--root", str(warm_project.root)]
    for words, splits in ((["--no-text"], ["lectures"]), ([], sorted(SPLITS - {"lectures"}))):
        checked = k2d("data", "validate", *words, *at_root, *(str(folder / name) for name in splits))
        assert checked.returncode == 0, checked.stdout

    shutil.rmtree(warm_project.root / "data")
    command = [str(warm_project.root / "run.sh"), "--conf", "conf/smoke.yaml", "--stop-stage", "1", "--nj", "1", SMALL]
    run = subprocess.Popen(command, env=warm_project.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = warm_project.root / "data" / "smoke" / "raw" / "mini" / "units"
    while run.poll() is None and len(list(made.rglob("*.json"))) < 4:
        time.sleep(0.02)
    assert run.poll() is None, "it was finished before it could be killed"
    warm_project.kill_holder("smoke")
    assert run.wait() in (137, 128 + signal.SIGKILL)
    assert not (warm_project.root / "data" / "smoke" / "mini").exists()

    assert prepare(warm_project, "--nj", "1").returncode == 0
    assert data_of(warm_project) == data
    assert audio_of(warm_project) == audio
    assert "done already, skipped" in prepare(warm_project).stdout
    other = prepare(warm_project, "prepare.options.mini.seed=3")  # another corpus, and refused without --force
    assert other.returncode == 1
    assert "setting options.seed: 2 -> 3" in other.stderr


@pytest.mark.slow
def test_faults_of_options_are_reported_together():
    wrong = [f"prepare.options.mini.{fault}" for fault in ("pool=0", "sede=1", "preset=x")]
    done = k2d("prepare", "--conf", "conf/smoke.yaml", *wrong)
    assert done.returncode == 2
    for fault in (
        "pool: found 0",
        "sede: found an unknown key, expected one of preset, voices, seed, ",
        "preset: found 'x'",
    ):
        assert f"prepare.options.mini: {fault}" in done.stderr
