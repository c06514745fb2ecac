"""A copy of the project under a path with spaces, whose commands are run from outside."""

import fcntl
import gc
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# A core for each process of the tests: threads that wait for work spin, and take the core of the test beside them.
# Before torch and numpy are imported, here and in every process that is started from here.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reports its use to its makers otherwise

import hypothesis
import pytest

from k2d.core.layout import PROJECT_ROOT

# What a shell starts in the background ignores Ctrl-C, and so would all processes that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("few", max_examples=10)  # `make test-fast`

LIMIT_S = 600  # for tests that hang: on a loaded machine, seconds become minutes

TOY_STAGE = """
    \"\"\"A stage for tests: writes the setting `seed` into a file, after doing what the environment says.\"\"\"
    import os, signal, sys, time
    from k2d.pipeline.job import Counts, Settings, Unit
    VERSION = 1
    def units(job):
        reads = tuple(job.layout.exp / name for name in {reads})
        made = job.layout.exp / "{folder}"
        copy = Unit(made.with_name("{verb}-copy"), Settings({{"seed": 0}}), (made,))
        return [Unit(made, Settings({{"seed": job.config.seed}}), reads), copy]
    def make(unit, job, folder):
        print("{verb} works", flush=True)
        (folder / "half").write_text("half a result")
        trouble = os.environ.get("TOY_{verb}")
        if trouble == "raise":
            raise RuntimeError("the toy broke")
        if trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if trouble == "wait":
            time.sleep(60)
        (folder / "half").unlink()
        (folder / "result").write_text(str(unit.settings["seed"]))
        return Counts(3, 2, {{"too_short": 1}}, "toys")
"""


def pytest_collection_finish(session: pytest.Session) -> None:
    """All modules and tests that are loaded now stay: the garbage collector need not look at them again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report in one line that the tests with real weights were skipped; without it, dots would hide it."""
    # Here and not in test/real: with several processes, the one that reports collects no tests and loads no other file.
    skipped = [str(each.longrepr) for each in terminalreporter.stats.get("skipped", [])]
    for name, title in (("base", "Whisper base"), ("kokoro", "Kokoro-82M")):
        if n_skipped := sum(f"{title} cannot be had here" in reason for reason in skipped):
            why = f"{title} cannot be had here (python -m k2d fetch {name} shows why; with K2D_REAL=1 they fail)"
            terminalreporter.write_line(f"test/real: {n_skipped} tests are skipped: {why}")


@dataclass
class Project:
    """A copied project, and how to run its commands."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {**os.environ, "K2D_PYTHON": sys.executable})

    def run(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """./run.sh WORD…"""
        return self.command(str(self.root / "run.sh"), *words, cwd=cwd, **environment)

    def k2d(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """python -m k2d WORD…"""
        return self.command(self.environment["K2D_PYTHON"], "-m", "k2d", *words, cwd=self.root, **environment)

    def command(self, *words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        full = {**self.environment, "PYTHONPATH": str(self.root), **environment}
        return subprocess.run(words, cwd=cwd or self.root, env=full, capture_output=True, text=True, timeout=LIMIT_S)

    def kill_holder(self, experiment: str) -> None:
        """Kill the process that works on an experiment, and wait until its workers have ended with it."""
        with (self.root / "exp" / f".{experiment}.lock").open("rb") as lock:
            os.kill(json.loads(lock.read())["pid"], signal.SIGKILL)
            fcntl.flock(lock, fcntl.LOCK_EX)

    def add_toy_stage(self, verb: str, folder: str, reads: tuple[str, ...] = ()) -> None:
        code = textwrap.dedent(TOY_STAGE).format(verb=verb, folder=folder, reads=reads)
        (self.root / "k2d" / "stages" / f"{verb}.py").write_text(code)

    def without_stages(self) -> None:
        """Remove the real stages, so that a test runs only its toy stages."""
        from k2d.pipeline.stage_list import STAGES

        for stage in STAGES:
            (self.root / "k2d" / "stages" / f"{stage.verb}.py").unlink(missing_ok=True)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return copied_project(tmp_path)


@pytest.fixture(scope="session")
def warm_python() -> Iterator[str]:
    from warm_python import warm_python as started

    with started() as program:
        yield program


@pytest.fixture
def warm_project(project: Project, warm_python: str) -> Project:
    """A project whose commands are forked from a Python that has imported torch already.

    For tests of what commands do with models. Tests of processes (signals, workers, the end of run.sh) need `project`.
    """
    project.environment["K2D_PYTHON"] = warm_python
    return project


@pytest.fixture(scope="module")
def forked_workers() -> Iterator[None]:
    """Worker processes are forked from the test, and need not import everything anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("k2d.core.worker_process._SPAWN", multiprocessing.get_context("fork"))
        yield


@pytest.fixture(scope="module")
def shared_project(tmp_path_factory: pytest.TempPathFactory, warm_python: str) -> Project:
    """Like `warm_project`, but one for all tests of a file, which go on from what it has made for them."""
    made = copied_project(tmp_path_factory.mktemp("shared"))
    made.environment["K2D_PYTHON"] = warm_python
    return made


@pytest.fixture(scope="session")
def untouched_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One copy for all tests of calls that write nothing."""
    return copied_project(tmp_path_factory.mktemp("untouched"))


def copied_project(folder: Path) -> Project:
    root = folder / "a folder, with 'spaces' 課"
    root.mkdir()
    for name in ("k2d", "utils", "conf", "egs"):  # with what is compiled: it is valid as long as the times are kept
        # Other tests are compiling meanwhile, and rename what they have written: `errors.cpython-311.pyc.139876`.
        shutil.copytree(PROJECT_ROOT / name, root / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    shutil.copy(PROJECT_ROOT / "run.sh", root)
    return Project(root)
