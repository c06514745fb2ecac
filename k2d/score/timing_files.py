"""Read timing.json and speed.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.score.timing import BATCHED, SINGLE, Speeds, Timing, speeds_of, timing_of

_FORM = '{"audio_s": 3600.0, "runs_s": [301.2, …], "batch_size": 16, "threads": 8, "dtype": "fp32", "device": "cpu"}'

Found = TypeVar("Found", Timing, Speeds)


def read_timing(path: Path) -> Timing:
    """A timing.json. K2DError if it is invalid."""
    return _read(path, timing_of, _FORM)


def read_speeds(path: Path) -> Speeds:
    """A speed.json. K2DError if it is invalid."""
    return _read(path, speeds_of, f'{{"{SINGLE}": {{"teacher": {_FORM}, …}}, "{BATCHED}": …}}')


def _read(path: Path, of: Callable[[Any], Found], form: str) -> Found:
    try:
        return of(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        message = f"{shown(path)}: not a record of decoding times ({problem}); expected {form}"
        raise K2DError(f"{message}; decode the set again, or remove the file") from problem
