"""Run foreign programs that end when this process ends, in whatever way."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from k2d.core import parent_process


class Programs:
    """Programs that run at the same time. Each is called by a thread that waits for it."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_over = False

    def run(self, words: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[bytes]:
        """Run a program without input. If it takes longer than the limit, it is killed and TimeoutExpired is raised."""
        # Python asks the kernel to kill it with this process, and then replaces itself by the program. Doing that
        # between fork and exec (`preexec_fn`) is not safe in a process with threads.
        through = [sys.executable, "-I", "-S", parent_process.__file__, str(os.getpid())]
        process = subprocess.Popen(
            [*through, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._running.add(process)
        if self._is_over:
            process.kill()
        try:
            out, errors = process.communicate(timeout=limit_s)
        finally:
            process.kill()  # has no effect if it has ended
            process.wait()
            self._running.discard(process)
        return subprocess.CompletedProcess(words, process.returncode, out, errors)

    def end(self) -> None:
        """Kill all running programs, and those that threads are about to start."""
        self._is_over = True
        for process in list(self._running):
            process.kill()
