"""tools/install.sh returns at once if there is nothing to do, and names what is missing if it cannot continue."""

import re
import shutil

import pytest

from k2d.core.layout import PROJECT_ROOT


@pytest.fixture
def place(project):
    shutil.copytree(PROJECT_ROOT / "tools", project.root / "tools")
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(PROJECT_ROOT / name, project.root)
    return project


def finished_environment(place):
    (place.root / ".venv" / "bin").mkdir(parents=True)
    (place.root / ".venv" / "bin" / "python").symlink_to(place.environment["K2D_PYTHON"])
    shutil.copy(place.root / "requirements.lock", place.root / ".venv" / "installed.lock")


def install(place, *words, **environment):
    return place.command(str(place.root / "tools" / "install.sh"), *words, **environment)


def test_a_second_call_starts_no_python_and_is_silent_with_its_option(place):
    finished_environment(place)
    python = place.root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text('#!/bin/sh\ntouch "$STARTED"\n')
    python.chmod(0o755)
    started = place.root / "started"
    done = install(place, "--quiet", PYTHON=str(python), STARTED=str(started))
    assert not started.exists()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "up to date" in install(place).stdout


def test_a_changed_lock_is_noticed(place):
    finished_environment(place)
    with (place.root / "requirements.lock").open("a") as lock:
        lock.write("# another version\n")
    done = install(place, PYTHON="/no/such/python")
    assert done.returncode == 1
    assert "found no Python 3.10, 3.11 or 3.12 with venv; install one" in done.stderr


def test_an_unsupported_python_is_refused(place):
    fake = place.root / "python2.7"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    done = install(place, PYTHON=str(fake))
    assert done.returncode == 1
    assert "PYTHON=/path/to/python tools/install.sh" in done.stderr
    assert not (place.root / ".venv").exists()


@pytest.mark.slow
def test_a_failed_installation_is_reported_and_does_not_count_as_done(place, tmp_path):
    (place.root / "requirements.lock").write_text("no-such-package-of-k2d==1.0 --hash=sha256:" + "0" * 64 + "\n")
    done = install(place, PYTHON=place.environment["K2D_PYTHON"], PIP_NO_INDEX="1")
    assert done.returncode == 1
    assert "pip failed; the whole log is" in done.stderr
    assert "no-such-package-of-k2d" in done.stderr
    assert not (place.root / ".venv" / "installed.lock").exists()


def test_the_lock_has_every_dependency_with_hashes():
    lock = (PROJECT_ROOT / "requirements.lock").read_text()
    project = (PROJECT_ROOT / "pyproject.toml").read_text()
    blocks = re.findall(
        r"^(\S+)==(\S+)(?: ; .+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", lock, flags=re.MULTILINE
    )
    locked = {name for name, _, _ in blocks}
    assert len(locked) > 100
    assert len(blocks) == len(re.findall(r"^[a-z0-9]", lock, flags=re.MULTILINE))
    declared = project.split("dependencies = [", 1)[1].split("[tool.")[0]
    wanted = {name.lower() for name in re.findall(r'"([A-Za-z][A-Za-z0-9_-]+)[^"]*"', declared)}
    assert {"espnet", "torch", "soundfile", "pytest", "espeakng-loader"} <= wanted
    assert wanted <= locked
