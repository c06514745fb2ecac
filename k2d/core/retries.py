"""Find the cause of a failure: a failure of the machine is retried; an item is rejected only for its own fault.

An item's own fault (a damaged file, a file that crashes its decoder) occurs in every try. A fault of the machine (a
failing disk or mount, too little memory, a worker killed from outside) may be gone the next time. Rejecting an item for
it would change the data by chance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from k2d.core.errors import K2DError
from k2d.core.workers import Outcome, run_each

Item = TypeVar("Item")
Value = TypeVar("Value")

MAX_AGAIN = 64
"""The number of items that are retried in one run after failures of the machine. With more failures, the run stops."""
_MAX_NAMED = 5
_MEMORY_WORDS = ("out of memory", "allocate memory")
_CRASHES = {"SIGSEGV", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"}
_SIGNAL = re.compile(r"\bsignal (SIG\w+)")


def is_passing(error: BaseException) -> bool:
    """Whether another try may succeed. An exception may have the answer (`is_passing`), as AudioError has."""
    stated = getattr(error, "is_passing", None)
    return stated if isinstance(stated, bool) else isinstance(error, OSError) or is_short_of_memory(error)


def is_short_of_memory(error: BaseException) -> bool:
    """Whether memory ran out. torch has several messages for that, on GPU and CPU.

    >>> is_short_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    True
    >>> is_short_of_memory(RuntimeError("shapes differ"))
    False
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _MEMORY_WORDS)


def was_killed(error: str) -> bool:
    """Whether a worker was killed by a signal from outside, not by its own crash, according to its outcome's text.

    SIGBUS counts as from outside: a failing disk causes it in a mapped file.

    >>> was_killed("the worker process died (signal SIGKILL)"), was_killed("the worker process died (signal SIGSEGV)")
    (True, False)
    >>> was_killed("the worker process died (exit code 3)")
    False
    """
    found = _SIGNAL.search(error)
    return found is not None and found[1] not in _CRASHES


def run_each_twice(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    *,
    nj: int,
    what: Callable[[int], str],
    name: Callable[[Item], str],
    limit_s: float | None = None,
    judge: Callable[[BaseException], bool] = is_passing,
) -> Iterator[Outcome[Item, Value]]:
    """Like `run_each`, but failed outcomes are only faults of the items themselves.

    An item at which the machine failed, or whose worker died, is tried once more, alone, after all others. K2DError
    names the items at which the machine fails again, counted by `what`. `judge` decides which exceptions are the
    machine's.
    """
    again: list[Item] = []
    passing: list[tuple[str, str]] = []
    for outcome in run_each(function, items, nj=nj, limit_s=limit_s):
        if is_passing_outcome(outcome, judge):
            passing.append((name(outcome.item), _reason(outcome)))
            if len(passing) > MAX_AGAIN:
                raise machine_failed(what(len(passing)), passing)
        if is_passing_outcome(outcome, judge) or not outcome.answered:
            again.append(outcome.item)
        else:
            yield outcome
    left: list[tuple[str, str]] = []
    for outcome in run_each(function, again, nj=1, fresh=True, limit_s=limit_s):
        if is_passing_outcome(outcome, judge):
            left.append((name(outcome.item), _reason(outcome)))
        else:
            yield outcome
    if left:
        raise machine_failed(what(len(left)), left)


def is_passing_outcome(outcome: Outcome[Item, Value], judge: Callable[[BaseException], bool] = is_passing) -> bool:
    """Whether an outcome is a fault of the machine."""
    return judge(outcome.exception) if outcome.exception is not None else was_killed(outcome.error)


def _reason(outcome: Outcome[Item, Value]) -> str:
    return str(outcome.exception or outcome.error)


def machine_failed(what: str, failures: Sequence[tuple[str, str]], kept: str = "") -> K2DError:
    """The error that stops a stage. `failures` are names with reasons; `kept` says what a rerun need not repeat.

    >>> print(machine_failed("lab/train: 1 of 4 recordings", [("rb", "rb.wav: cannot be read")]))
    lab/train: 1 of 4 recordings could not be read or worked on. The fault is the machine's, not theirs:
      rb: rb.wav: cannot be read
    repair it (disk, mount, permissions, memory) and run the same command again: it tries them again
    """
    lines = [f"{what} could not be read or worked on. The fault is the machine's, not theirs:"]
    lines += [f"  {name}: {reason}" for name, reason in failures[:_MAX_NAMED]]
    if len(failures) > _MAX_NAMED:
        lines.append(f"  … and {len(failures) - _MAX_NAMED:,} more")
    lines.append(
        f"repair it (disk, mount, permissions, memory) and run the same command again: it tries them again{kept}"
    )
    return K2DError("\n".join(lines))
