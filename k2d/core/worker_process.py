"""One worker process: how it is started, given items and ended, and what it does on its own side.

Messages are bytes. They are unpickled by whoever can say what is wrong if that fails: reading an item is tried in the
worker, reading a result in the parent, and the words of an error are never pickled.
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
_END_LIMIT_S = 10.0  # a killed process that hangs in the kernel is left to itself


class Answer(NamedTuple):
    """What a worker makes of an item. `error` is empty if all went well."""

    value: Any = None
    error: str = ""
    exception: Exception | None = None


class Died(Exception):
    """The worker process is gone; the message says how it ended."""


class NotStarted(Exception):
    """The worker process did not get as far as its first item. `is_final`: trying again would be no use."""

    def __init__(self, reason: str, *, is_final: bool = False) -> None:
        super().__init__(reason)
        self.is_final = is_final


class NotSendable(Exception):
    """Something cannot be pickled."""


def packed(thing: object) -> bytes:
    """What is sent for a thing; NotSendable says why it cannot be."""
    try:
        return bytes(ForkingPickler.dumps(thing))
    except Exception as problem:
        raise NotSendable(_words(problem)) from problem


class WorkerProcess:
    """A process that is starting, idle or busy with an item."""

    def __init__(self, function: bytes) -> None:
        """Start it; NotStarted if the system refuses."""
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
        """Take the message that a worker sends when it is ready for items; NotStarted if there is another or none."""
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
        """Send an item; Died if the worker has died while it was idle."""
        self.since = time.monotonic()
        try:
            self.pipe.send_bytes(task)
        except OSError as problem:
            raise Died("while it was idle") from problem

    def answer(self) -> Answer | None:
        """The answer of a worker that is busy; None if it has none yet, Died if it never will."""
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
        """Empty if it has not: the end of the pipe is seen some moments before the end of the process."""
        self._process.join(_DYING_S)
        code = self._process.exitcode
        if code is None:
            return ""
        return f"signal {_signal_name(-code)}" if code < 0 else f"exit code {code}"

    def stop(self) -> None:
        """End it, whatever it does."""
        self.pipe.close()
        self._process.kill()
        self._process.join(_END_LIMIT_S)
        with contextlib.suppress(ValueError):  # it hangs in the kernel
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
    except ValueError:  # one of those that have a number only
        return str(number)


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """A process that is started in the block does not break off with a traceback at Ctrl-C while it begins."""
    resource_tracker.ensure_running()  # which would end the block, if it had to be started in it
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
    end_with_parent(parent, started_by_main_thread=started_by_main_thread)  # before any heavy import
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
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
    os._exit(1)


def _answer_to(function: Callable[[Any], Any], task: bytes) -> tuple[bytes, bytes]:
    """The two messages of an answer: the words of an error, and a pickled value or exception."""
    try:
        item = ForkingPickler.loads(task)
    except Exception as problem:
        return f"the item cannot be read in the worker: {_words(problem)}".encode(errors="replace"), b""
    try:
        value = function(item)
    except BaseException as problem:  # also SystemExit: the process belongs to the next items as well
        return _words(problem).encode(errors="replace"), _packed_exception(problem)
    try:
        return b"", packed(value)
    except NotSendable as problem:
        return f"the result cannot be sent back: {problem}".encode(errors="replace"), b""


def _packed_exception(problem: BaseException) -> bytes:
    """Nothing, if it would not be the same exception on the other side."""
    try:
        body = packed(problem)
        return body if isinstance(problem, Exception) and type(ForkingPickler.loads(body)) is type(problem) else b""
    except Exception:
        return b""
