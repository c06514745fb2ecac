"""A server of Pythons that have imported torch, ESPnet and Whisper already: it forks one for each command.

Each command still runs in a process of its own, from its first line, with the code of its own folder. It saves only the
import of foreign libraries, which takes more time than what most tests look at. Workers of such a command are forked
from it, too. `warm_python` starts the server, which ends when its standard input is closed.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import importlib.util
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

SMALL = ("numpy", "yaml", "pydantic", "soundfile", "soxr", "sentencepiece", "torch", "whisper")
OF_TRAINING = ("lightning.pytorch", "torch.utils.tensorboard")
OF_EXPORTS = ("ctranslate2", "faster_whisper", "transformers.models.whisper", "espnet2.bin.s2t_inference")
STAGES = ("pipeline.runner", "stages.prepare", "stages.chunk", "stages.select", "stages.score", "stages.report")
LIBRARIES_BY_VERB = {**dict.fromkeys(("teacher", "auxiliary", "distill"), OF_TRAINING), "export": OF_EXPORTS}


def main(listening: int) -> None:
    listener = socket.socket(fileno=listening)
    import_all(SMALL)
    import_what_k2d_imports()
    while sys.stdin not in (ready := select.select([listener, sys.stdin], [], [])[0]):
        assert ready == [listener]
        connection, _ = listener.accept()
        request, streams = received(connection)
        import_all(libraries_of(request["argv"]))
        if os.fork() == 0:
            listener.close()
            attend(connection, request, streams)
            return
        for handle in streams:
            os.close(handle)
        connection.close()
        reap()


def import_what_k2d_imports() -> None:
    """The libraries of its stages, and ESPnet as it imports it.

    K2D itself is forgotten again: every command imports the code of its own folder.
    """
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from k2d.models.espnet_s2t.library import default_config

    default_config()
    for name in STAGES:
        importlib.import_module(f"k2d.{name}")
    del sys.path[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == "k2d"]:
        del sys.modules[name]


def libraries_of(argv: list[str]) -> tuple[str, ...]:
    """What a command imports that takes long, and that not every command imports."""
    if argv[:2] == ["-m", "k2d"]:
        return LIBRARIES_BY_VERB.get("".join(argv[2:3]), ())
    return OF_TRAINING if is_script(argv) else ()


def is_script(argv: list[str]) -> bool:
    return argv[:1] != [] and argv[0].endswith(".py")


def import_all(names: tuple[str, ...]) -> None:
    for name in names:
        if importlib.util.find_spec(name.partition(".")[0]):  # those of exports are an extra
            importlib.import_module(name)
    assert threading.active_count() == 1, f"{threading.enumerate()}: only the thread that forks would go on"


def reap() -> None:
    """Wait for ended commands, so that no zombies remain."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def received(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Receive the command and its three standard streams."""
    size = array.array("i").itemsize
    text, control, _, _ = connection.recvmsg(1 << 20, socket.CMSG_SPACE(3 * size))
    handles = array.array("i")
    handles.frombytes(control[0][2][: 3 * size])
    while not text.endswith(b"\n"):
        text += connection.recv(1 << 20)
    return json.loads(text), list(handles)


def attend(connection: socket.socket, request: dict[str, Any], streams: list[int]) -> None:
    """Run the command in a process of its own, and send its exit status. It ends with its caller."""
    child = os.fork()
    if child == 0:
        connection.close()
        return become(request, streams)
    for handle in streams:
        os.close(handle)
    ended = os.pidfd_open(child)
    if ended not in select.select([connection, ended], [], [])[0]:  # the caller was killed
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(BrokenPipeError):
        connection.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def become(request: dict[str, Any], streams: list[int]) -> None:
    """Run `python ARGUMENT…`, with a warm start if it is `python -m k2d …` or `python SCRIPT.py …`."""
    for place, handle in enumerate(streams):
        os.dup2(handle, place)
        os.close(handle)
    os.chdir(request["cwd"])
    argv, environment = request["argv"], request["environment"]
    is_k2d = argv[:2] == ["-m", "k2d"]
    if not is_k2d and not is_script(argv):
        os.execve(sys.executable, [sys.executable, *argv], environment)  # noqa: S606 - it takes this one's place
    os.environ.clear()
    os.environ.update(environment)
    first = request["cwd"] if is_k2d else str(Path(argv[0]).resolve().parent)
    sys.path[:] = [first, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *sys.path[1:]]
    importlib.invalidate_caches()
    import k2d.core.worker_process as workers

    workers._SPAWN = multiprocessing.get_context("fork")  # type: ignore[assignment]
    sys.argv = ["-m", *argv[2:]] if is_k2d else argv
    run = partial(runpy.run_module, "k2d", alter_sys=True) if is_k2d else partial(runpy.run_path, argv[0])
    code = exit_code_of(run)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # a library in C would wait for its threads, which did not come along


def exit_code_of(run: Callable[..., object]) -> int:
    """Run a command to its end."""
    try:
        run(run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main(int(sys.argv[1]))
    os._exit(0)  # taking all libraries down takes seconds
