"""One worker process: the parent's side (start, send an item, read the answer, stop) and the worker's loop.

Messages are bytes, and each side pickles and unpickles them in a `try`. `Connection.recv` would raise in the middle of
its own work, and the parent could not distinguish a bad item from a dead worker. Error texts are not pickled.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from k2d.core.parent_process import end_with_parent

_SPAWN = multiprocessing.get_context("spawn")
_READY = b""
_DYING_S = 1.0
_END_LIMIT_S = 10.0  # a killed process that hangs in the kernel is abandoned after this time


class Answer(NamedTuple):
    """A worker's result for an item. `error` is empty if there was none."""

    value: Any = None
    error: str = ""
    exception: Exception | None = None


class Died(Exception):
    """The worker process has ended. The message says how."""


class NotStarted(Exception):
    """The worker process did not become ready. `is_final`: another try would not help."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class NotSendable(Exception):
    """Something cannot be pickled."""


def packed(thing: object) -> bytes:
    """An object as bytes. NotSendable if it cannot be pickled."""
    try:
        return bytes(ForkingPickler.dumps(thing))
    except Exception as problem:
        raise NotSendable(_words(problem)) from problem


class WorkerProcess:
    """A process that is starting, idle or busy with an item."""

    def __init__(self, function: bytes) -> None:
        """Start it. NotStarted if the system refuses."""
        self.pipe, theirs = _SPAWN.Pipe()
        by_main_thread = threading.current_thread() is threading.main_thread()
        self._process = _SPAWN.Process(target=_serve, args=(function, theirs, os.getpid(), by_main_thread), daemon=True)
        try:
            with _no_interrupts():
                self._process.start()
        except OSError as problem:
            self.pipe.close()
            raise NotStarted(problem.strerror or str(problem)) from problem
        finally:
            theirs.close()
        self.sentinel = self._process.sentinel
        self.since = time.monotonic()

    def check_ready(self) -> None:
        """Read the message of a worker that is ready. NotStarted if there is none, or an error instead."""
        try:
            message = self.pipe.recv_bytes() if self.pipe.poll() else None
        except (EOFError, OSError):
            message = None
        if message is None:
            how = self._how_it_ended()
            raise NotStarted(
                f"the process died before it was ready ({how})"
                if how
                else f"the process was not ready after {time.monotonic() - self.since:.0f} s"
            )
        if message != _READY:
            raise NotStarted(message.decode(), is_final=True)

    def give(self, task: bytes) -> None:
        """Send an item. Died if the worker died while it was idle."""
        self.since = time.monotonic()
        try:
            self.pipe.send_bytes(task)
        except OSError as problem:
            raise Died("while it was idle") from problem

    def answer(self) -> Answer | None:
        """The answer of a busy worker. None if there is none yet, Died if there never will be one."""
        try:
            if self.pipe.poll():
                return _read(self.pipe.recv_bytes().decode(), self.pipe.recv_bytes())
        except (EOFError, OSError) as problem:
            raise Died(self._how_it_ended() or "it closed its pipe") from problem
        how = self._how_it_ended()
        if how:
            raise Died(how)
        return None

    def _how_it_ended(self) -> str:
        """How the process ended. Empty if it still runs."""
        # When a process dies, its pipe closes a moment before it has an exit code.
        self._process.join(_DYING_S)
        code = self._process.exitcode
        if code is None:
            return ""
        return f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"

    def stop(self) -> None:
        """Kill the process, whatever it is doing."""
        self.pipe.close()
        self._process.kill()
        self._process.join(_END_LIMIT_S)
        with contextlib.suppress(ValueError):  # raised if it still runs, as when it hangs in the kernel
            self._process.close()


def _read(error: str, body: bytes) -> Answer:
    try:
        content = ForkingPickler.loads(body) if body else None
    except Exception as problem:
        return Answer(error=error or f"the result cannot be read: {_words(problem)}")
    return Answer(error=error, exception=content) if error else Answer(content)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # real-time signals have no names in Python
        return str(number)


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Block SIGINT, which a process started here inherits. Otherwise Ctrl-C during its start prints its traceback."""
    # Starting the resource tracker unblocks SIGINT again, so it must be started before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _words(problem: BaseException) -> str:
    return "".join(traceback.format_exception_only(problem)).strip()


# --- in the worker ---


def _serve(packed_function: bytes, pipe: Connection, parent: int, started_by_main_thread: bool) -> None:
    """The worker's loop. It ends with its parent, or when the parent closes the pipe."""
    # Before any heavy import, because the parent may die while the worker imports.
    end_with_parent(parent, started_by_main_thread=started_by_main_thread)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to all processes; the parent handles it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    with contextlib.suppress(EOFError, OSError):
        try:
            function = ForkingPickler.loads(packed_function)  # imports its module
        except BaseException as problem:
            traceback.print_exc()
            pipe.send_bytes(_words(problem).encode(errors="replace"))
            return
        pipe.send_bytes(_READY)
        while True:
            for message in _answer_to(function, pipe.recv_bytes()):
                pipe.send_bytes(message)
    # The parent has closed the pipe. A normal exit would wait for the threads of libraries, perhaps for ever.
    os._exit(1)


def _answer_to(function: Callable[[Any], Any], task: bytes) -> tuple[bytes, bytes]:
    """The two messages of an answer: the text of an error, and a pickled value or exception."""
    try:
        item = ForkingPickler.loads(task)
    except Exception as problem:
        return f"the item cannot be read in the worker: {_words(problem)}".encode(errors="replace"), b""
    try:
        value = function(item)
    except BaseException as problem:  # also SystemExit, because the process is needed for the next items
        return _words(problem).encode(errors="replace"), _packed_exception(problem)
    try:
        return b"", packed(value)
    except NotSendable as problem:
        return f"the result cannot be sent back: {problem}".encode(errors="replace"), b""


def _packed_exception(problem: BaseException) -> bytes:
    """The exception as bytes. Empty if the parent would not get an equal exception."""
    # An exception whose __init__ has other arguments than super().__init__ can be pickled but not unpickled.
    try:
        body = packed(problem)
        return body if isinstance(problem, Exception) and type(ForkingPickler.loads(body)) is type(problem) else b""
    except Exception:
        return b""
