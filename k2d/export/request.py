"""The options of an export, for all formats, and the check for the libraries that it needs."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass

from k2d.config.fields import ComputeType
from k2d.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The student's name, and the options of the export."""

    name: str
    languages: tuple[str, ...] = ()
    """The languages in its prompt."""
    compute_type: ComputeType = "fp32"
    """The precision of a CTranslate2 folder."""


def has(*libraries: str) -> bool:
    return all(importlib.util.find_spec(library) is not None for library in libraries)


def demand(what: str, *libraries: str) -> None:
    """Raise if libraries of the extra `export` are missing."""
    if missing := [library for library in libraries if not has(library)]:
        raise UsageError(f"{what} needs {' and '.join(missing)}, not installed here; pip install '.[export]'")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Suppress the progress bars and messages of transformers while it loads a model."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers.utils import logging as theirs

    theirs.disable_progress_bar()
    theirs.set_verbosity(logging.ERROR)
    yield
