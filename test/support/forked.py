"""Processes that are forked from Python's fork server, which has imported torch and Lightning: that takes seconds.

For tests of what becomes of a process: each has an id, signals and an end of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest.mock import patch

from k2d.core.layout import PROJECT_ROOT

SUPPORT = PROJECT_ROOT / "test" / "support"
PYTHONPATH = f"{PROJECT_ROOT}:{SUPPORT}"
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["train_fake", "train_ranks"])


def started(function: str, *arguments: object, output: Path, **environment: str) -> BaseProcess:
    """A process that calls a function of a file in test/support, written `file:function`, with text as arguments.

    Its output is written into a file. For the process itself it is as if the file in test/support had been run.
    """
    words = [str(each) for each in arguments]
    process = _CONTEXT.Process(target=_carry_out, args=(function, words, output, environment))
    with patch.dict(os.environ, {"PYTHONPATH": PYTHONPATH}):  # the first call starts the server
        process.start()
    return process


def _carry_out(function: str, words: list[str], output: Path, environment: dict[str, str]) -> None:
    os.setsid()
    os.environ.update(environment)
    multiprocessing.set_start_method(None, force=True)  # its own children are not the server's
    with output.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    sys.argv = [str(SUPPORT / f"{function.partition(':')[0]}.py"), *words]
    sys.exit(pkgutil.resolve_name(function)(*words))
