"""Stage 1 on the mini corpus, in its smoke form, from outside."""

import shutil
import signal
import subprocess
import time

import pytest

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


def data_of(project):
    """Every file of the data directories but the stamp (which holds times), by name."""
    folder = project.root / "data" / "smoke" / "mini"
    names = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {str(name): (folder / name).read_bytes() for name in names if name.name != "stamp.json"}


def audio_of(project):
    folder = project.root / "data" / "smoke" / "raw" / "mini" / "audio"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def prepare(project, *words):
    return project.run("--conf", "conf/smoke.yaml", "--stop-stage", "1", *words)


@pytest.mark.slow
def test_a_killed_preparation_is_continued_with_the_same_result(project):
    done = prepare(project, "--nj", "2")
    assert done.returncode == 0, done.stderr
    data, audio = data_of(project), audio_of(project)
    assert {name.split("/")[0] for name in data} == SPLITS
    assert b"data/smoke/raw/mini/audio/pool/" in data["pool/wav.scp"].splitlines()[0]
    assert "lectures/text" not in data
    for split in SPLITS:
        words = ["--no-text"] if split == "lectures" else []
        checked = project.k2d("data", "validate", f"data/smoke/mini/{split}", *words)
        assert checked.returncode == 0, checked.stdout

    shutil.rmtree(project.root / "data")
    command = [str(project.root / "run.sh"), "--conf", "conf/smoke.yaml", "--stop-stage", "1", "--nj", "1"]
    run = subprocess.Popen(command, env=project.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = project.root / "data" / "smoke" / "raw" / "mini" / "units"
    while run.poll() is None and len(list(made.rglob("*.json"))) < 4:
        time.sleep(0.02)
    assert run.poll() is None, "it was finished before it could be killed"
    subprocess.run(["pkill", "-KILL", "-P", str(run.pid)], check=True)
    assert run.wait() in (137, 128 + signal.SIGKILL)
    assert not (project.root / "data" / "smoke" / "mini").exists()

    assert prepare(project, "--nj", "1").returncode == 0
    assert data_of(project) == data
    assert audio_of(project) == audio
    assert "done already, skipped" in prepare(project).stdout


@pytest.mark.slow
def test_faults_of_options_are_reported_together(project):
    done = prepare(
        project, "prepare.options.mini.pool=0", "prepare.options.mini.sede=1", "prepare.options.mini.preset=x"
    )
    assert done.returncode == 2
    for fault in ("pool: found 0", "sede: found an unknown key, expected one of preset, seed, ", "preset: found 'x'"):
        assert f"prepare.options.mini: {fault}" in done.stderr


@pytest.mark.slow
def test_other_options_are_refused_without_force(project):
    assert prepare(project).returncode == 0
    other = prepare(project, "prepare.options.mini.seed=3")
    assert other.returncode == 1
    assert "setting options.seed: 2 -> 3" in other.stderr
