"""Processes that Lightning starts for the other GPUs of a training, by running the command once more.

They train along, leave every file and lock to the process that started them, and end when the training does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OUTPUT = "K2D_COMPANION_OF"
_RANK = "LOCAL_RANK"
_OF_LIGHTNING = (_RANK, "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def output_of_companion() -> str | None:
    """What this process helps to make; None: it is no companion."""
    return os.environ.get(_OUTPUT) if os.environ.get(_RANK, "0") != "0" else None


@contextmanager
def companions_for(output: Path) -> Iterator[None]:
    """Those that are started in the block help to make this output; after it others can be started."""
    before = set(os.environ)
    os.environ[_OUTPUT] = str(output)
    try:
        yield
    finally:
        for name in {_OUTPUT, *_OF_LIGHTNING} - before:
            os.environ.pop(name, None)
