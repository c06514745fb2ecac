"""Watch the other processes of a training on several GPUs. If one dies, the training ends and reports why.

Without this, the rest would wait for it in a collective operation for half an hour, in C code that ignores signals.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch.distributed as dist

from k2d.core.errors import K2DError
from k2d.train.lightning_parts import subprocess_script

log = logging.getLogger("k2d")

GRACE_S = 5.0
"""The time for the training to end by itself, as it does if the library notices the lost connection."""
_DYING_S = 2.0  # a lost connection is noticed first, and the death that caused it a moment later
_OBSERVER = "_launch_process_observer"  # a private function of Lightning's launcher; there is no public hook
_GO_ON = "run the same command again to continue from the last checkpoint"


class RankWatcher:
    """Watches the processes that this one started."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._deaths: list[tuple[int, int]] = []  # rank and exit code, in their order
        self._has_died, self._is_over = threading.Event(), threading.Event()

    def watch(self, processes: Sequence[subprocess.Popen[bytes]]) -> None:
        """Watch processes that Lightning has just started. The first one is rank 1."""
        self._processes += processes
        for rank, process in enumerate(processes, 1):
            threading.Thread(target=self._wait_for, args=(rank, process), daemon=True).start()

    def _wait_for(self, rank: int, process: subprocess.Popen[bytes]) -> None:
        self._deaths.append((rank, process.wait()))
        self._has_died.set()
        if not self._is_over.wait(GRACE_S):
            log.error("%s", self._death_message())
            self._kill()
            logging.shutdown()
            os._exit(1)  # the main thread waits in C code

    def death(self) -> str:
        """A sentence about the death of another process, now or before. Empty if none died."""
        return self._death_message() if self._processes and self._has_died.wait(_DYING_S) else ""

    def _death_message(self) -> str:
        # A rank that was killed is the cause. Ranks with an exit code failed because of it.
        rank, code = min(self._deaths, key=lambda death: death[1] >= 0)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"rank {rank} of the training died ({how}); its own messages, if any, are above; {_GO_ON}"

    def end(self, *, kill: bool) -> None:
        self._is_over.set()
        if kill:
            self._kill()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()


@contextmanager
def watching_ranks() -> Iterator[None]:
    """In the block, this watcher replaces Lightning's, which would kill this process without a message."""
    ranks, of_lightning = RankWatcher(), getattr(subprocess_script, _OBSERVER)
    setattr(subprocess_script, _OBSERVER, ranks.watch)
    is_done = False
    try:
        yield
        is_done = True
    except Exception as problem:
        if not _is_lost_connection(problem):
            raise
        lost = ranks.death() or f"a process of the training has lost the connection to another; {_GO_ON}"
        raise K2DError(lost) from problem
    finally:
        ranks.end(kill=not is_done)
        setattr(subprocess_script, _OBSERVER, of_lightning)


def _is_lost_connection(problem: BaseException | None) -> bool:
    """Whether a lost connection is among the causes of this error."""
    while problem is not None:
        if isinstance(problem, dist.DistError) or (isinstance(problem, RuntimeError) and "gloo" in str(problem)):
            return True
        problem = problem.__cause__ or problem.__context__
    return False
