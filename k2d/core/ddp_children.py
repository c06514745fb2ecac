"""DDP children: processes for the other GPUs of a training. Lightning starts them by running the command again.

They only train. The process that started them (the leader) takes the locks and writes the files, and they end with it.
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


def output_of_leader() -> str | None:
    """The output whose training this process joins. None if it is not a DDP child."""
    return None if is_first(os.environ) else os.environ.get(_OUTPUT)


def is_first(environment: Mapping[str, str]) -> bool:
    """Whether this is the first of all processes of a training, over all machines, by its environment.

    `RANK` counts over all machines (torchrun sets it). `LOCAL_RANK` counts within one machine (torchrun and Lightning
    set it), so the number of the machine counts as well. The number of a Slurm task (`SLURM_PROCID`) does not count:
    Slurm never starts the processes of a training, and each of its tasks may train a model of its own.

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
    return True


@contextmanager
def ddp_children_for(output: Path) -> Iterator[None]:
    """DDP children that are started in the block join the training of this output."""
    before = set(os.environ)
    os.environ[_OUTPUT] = str(output)
    os.environ[_LEADER] = f"{socket.gethostname()}:{os.getpid()}"
    try:
        yield
    finally:
        # Lightning does not remove its variables, and the next training in this process would look like a child.
        for name in {*_OURS, *_OF_LIGHTNING} - before:
            os.environ.pop(name, None)


def follow_leader() -> None:
    """Make this DDP child end with its leader. Lightning starts children from the leader's main thread."""
    host, _, number = os.environ.get(_LEADER, "").rpartition(":")
    if host != socket.gethostname():  # there is no leader, or it is on another machine
        return
    leader = int(number)
    if os.getppid() == leader or not _is_running(leader):  # otherwise a cluster's launcher is its parent
        end_with_parent(leader, started_by_main_thread=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
