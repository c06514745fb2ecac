"""Processes that Lightning starts for the other GPUs of a training, by running the command once more.

They train along, leave every file and lock to the process that started them (the leader), and end when it does.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from k2d.core.parent_process import end_with_parent

_OUTPUT = "K2D_COMPANION_OF"
_LEADER = "K2D_LEADER"
_OURS = (_OUTPUT, _LEADER)
_OF_LIGHTNING = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def output_of_companion() -> str | None:
    """What this process helps to make; None: it is no companion."""
    return None if is_first(os.environ) else os.environ.get(_OUTPUT)


def is_first(environment: Mapping[str, str]) -> bool:
    """Whether this is the first of all processes of a training, on whatever machine, as its environment says.

    `RANK` counts over all machines (torchrun sets it). `LOCAL_RANK` counts within one machine (torchrun and Lightning
    set it), so the number of the machine has to be looked at as well. Slurm's count comes last: a process that
    Lightning starts within a Slurm job has inherited the count of its leader.

    >>> is_first({"LOCAL_RANK": "0", "NODE_RANK": "0"}), is_first({"LOCAL_RANK": "0", "NODE_RANK": "1"})
    (True, False)
    """

    def rank(*names: str) -> int | None:
        return next((int(environment[name]) for name in names if environment.get(name)), None)

    over_all, local = rank("RANK"), rank("LOCAL_RANK")
    if over_all is not None:
        return over_all == 0
    if local is not None:
        return local == 0 and not rank("NODE_RANK", "GROUP_RANK")
    return not rank("SLURM_PROCID")


@contextmanager
def companions_for(output: Path) -> Iterator[None]:
    """Those that are started in the block help to make this output; after it others can be started."""
    before = set(os.environ)
    os.environ[_OUTPUT] = str(output)
    os.environ[_LEADER] = f"{socket.gethostname()}:{os.getpid()}"
    try:
        yield
    finally:
        for name in {*_OURS, *_OF_LIGHTNING} - before:
            os.environ.pop(name, None)


def follow_leader() -> None:
    """Have this companion end when the process that started it does. Lightning starts it from the main thread."""
    host, _, number = os.environ.get(_LEADER, "").rpartition(":")
    if host != socket.gethostname():  # there is no leader, or it is on another machine
        return
    leader = int(number)
    if os.getppid() == leader or not _is_running(leader):  # else a cluster's launcher stands between
        end_with_parent(leader, started_by_main_thread=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
