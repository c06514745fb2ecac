"""A process that ends when its parent ends, in whichever way the parent ends: done, failed, or killed.

There are two guards, because neither is enough alone:

- On Linux the kernel sends a signal when the parent dies. It works even while the child is busy in C code. But "parent"
  means the thread that started the child: if that thread ends, the child gets the signal although the parent process
  lives on. The kernel is therefore asked only where the main thread started the child, as that thread ends last.
- Everywhere, a thread of the child looks at the number of its parent. It is not the end of a pipe to the parent that is
  watched, because processes forked from the parent (such as the loaders of a training) inherit that end and hold it
  open. A thread cannot run while C code holds the interpreter's lock, which is what the kernel's signal is for.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

POLL_S = 0.25
_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int, *, started_by_main_thread: bool) -> None:
    """Kill this process as soon as its parent, the process with this id, is gone."""
    if started_by_main_thread:
        signal_at_parents_end(signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), name="parent watch", daemon=True).start()


def signal_at_parents_end(number: signal.Signals) -> None:
    """Ask the kernel to send this process a signal when the thread that started it ends. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def end_with_run_sh() -> None:
    """If run.sh started this process, get SIGTERM when run.sh ends: it passes on none of its own signals."""
    run_sh = os.environ.get("K2D_RUN_SH")
    if run_sh == str(os.getppid()):
        signal_at_parents_end(signal.SIGTERM)


def _watch(parent: int) -> None:
    # The first look is not a formality: the parent may have died before the kernel was asked.
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(1)


def _become(parent: int, words: list[str]) -> None:
    """Become another program that ends with the parent: the thread that waits for the program started this process."""
    signal_at_parents_end(signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execv(words[0], words)  # noqa: S606  # no shell
    except OSError as problem:
        print(f"[error] {words[0]} cannot be run: {problem.strerror}", file=sys.stderr)
        sys.exit(126)


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
