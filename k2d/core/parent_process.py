"""Make a process end when its parent ends, in whatever way: done, failed, or killed.

There are two guards, because neither is sufficient alone:

- On Linux the kernel sends a signal when the parent dies. This works even while the child runs C code. But for the
  kernel "parent" means the thread that started the child: if that thread ends, the child gets the signal although the
  parent process still runs. So this is used only if the main thread started the child, because that thread ends last.
- On all systems, a thread of the child checks the id of its parent. It does not watch a pipe to the parent, because
  processes forked from the parent (such as the loaders of a training) inherit that pipe and keep it open. A thread
  cannot run while C code holds the interpreter's lock; the kernel's signal covers that case.
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
    """Kill this process as soon as its parent, the process with this id, has ended."""
    if started_by_main_thread:
        signal_at_parents_end(signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), name="parent watch", daemon=True).start()


def signal_at_parents_end(number: signal.Signals) -> None:
    """Ask the kernel to send this process a signal when the thread that started it ends. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def end_with_run_sh() -> None:
    """If run.sh started this process, get SIGTERM when run.sh ends, because run.sh does not forward its signals."""
    run_sh = os.environ.get("K2D_RUN_SH")
    if run_sh == str(os.getppid()):
        signal_at_parents_end(signal.SIGTERM)


def _watch(parent: int) -> None:
    # The first check is needed: the parent may have died before the kernel was asked.
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(1)


def _become(parent: int, words: list[str]) -> None:
    """Replace this process by another program that ends with the parent. The thread that started it waits for it."""
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
