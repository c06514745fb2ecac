"""A program that replaces `python` in tests: it runs `python -m k2d …` through a warm server (see warm_server.py).

python test/support/warm_python.py ./run.sh …    runs a command that uses this program
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent


@contextmanager
def warm_python() -> Iterator[str]:
    """The path of the program, which works during the block. On other systems than Linux: Python itself."""
    if not hasattr(os, "pidfd_open"):
        yield sys.executable
        return
    with tempfile.TemporaryDirectory(prefix="k2d-warm-") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = f"{folder}/socket"
        listener.bind(address)
        listener.listen()
        words = [sys.executable, str(HERE / "warm_server.py"), str(listener.fileno())]
        server = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=[listener.fileno()], text=True
        )
        listener.close()  # the server's alone: if it dies, nobody waits for it
        client = shlex.join([sys.executable, "-ISE", str(HERE / "warm_client.py"), address])
        program = Path(folder, "python")
        program.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        program.chmod(0o755)
        try:
            yield str(program)
        finally:
            server.communicate()


if __name__ == "__main__":
    with warm_python() as path:
        code = subprocess.call(sys.argv[1:], env={**os.environ, "K2D_PYTHON": path})
    sys.exit(code)
