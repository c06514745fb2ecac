"""`python -m k2d …` in the process of the test, for tests of what a command reads, writes, prints and answers.

No Python is started and nothing is copied: the experiment's folders are in a folder of the test, and workers are forked
from the test. What a process is (run.sh, signals, relative paths) needs the fixture `project`.
"""

from __future__ import annotations

import faulthandler
import fcntl
import io
import logging
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from k2d.__main__ import main
from k2d.core import worker_process
from k2d.inference import dispatch
from k2d.pipeline.stage_list import STAGES


@dataclass(frozen=True)
class ExperimentHere:
    """An experiment whose config, data and outputs are in a folder."""

    root: Path
    name: str = "x"

    @property
    def exp(self) -> Path:
        return self.root / "exp" / self.name

    @property
    def conf(self) -> Path:
        return self.root / f"{self.name}.yaml"

    def k2d(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A stage of the experiment."""
        places = (f"exp={self.root / 'exp'}", f"data={self.root / 'data'}")
        return k2d(verb, "--conf", str(self.conf), "--nj", "1", *places, *words)

    def wait_until_free(self) -> None:
        """Until the last process that inherited the lock of a killed command has ended."""
        with self.exp.with_name(f".{self.name}.lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

    def stages(self, first: int, last: int, *words: str) -> str:
        """Some stages, which must succeed; what they print."""
        printed = ""
        for stage in STAGES[first - 1 : last]:
            done = self.k2d(stage.verb, *words)
            assert done.returncode == 0, done.stdout + done.stderr
            printed += done.stdout
        return printed


def k2d(*words: str) -> subprocess.CompletedProcess[str]:
    """The exit code, the output and the messages of `python -m k2d WORD…`."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", ["-m", *words]), _left_as_found():
        try:
            code = main(words)
        except SystemExit as ended:  # a wrong option
            code = ended.code if isinstance(ended.code, int) else 1
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@contextmanager
def _left_as_found() -> Iterator[None]:
    """What a command sets for its whole process: loggers, workers, and the file for the traceback of a crash."""
    forking = multiprocessing.get_context("fork")
    loggers = [logging.getLogger(name) for name in ("k2d", "k2d.file")]
    before = [(log.handlers, log.level, log.propagate) for log in loggers]
    try:
        with (
            patch.object(faulthandler, "enable", lambda file: file.close()),
            patch.object(worker_process, "_SPAWN", forking),
            patch.object(os, "sched_getaffinity", lambda _: {0}),  # threads of OpenMP do not survive a fork
        ):
            yield
    finally:
        dispatch._crew.cache_clear()  # its workers end with it
        for log, (handlers, level, propagate) in zip(loggers, before, strict=True):
            for handler in set(log.handlers) - set(handlers):
                handler.close()
            log.handlers, log.propagate = handlers, propagate
            log.setLevel(level)
