"""Parquet files as Hugging Face writes them: audio as bytes of a WAV file, in a struct with its path."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import soundfile

AUDIO = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def wav(samples: np.ndarray, rate_hz: int = 16_000, container: str = "WAV") -> bytes:
    """The bytes of an audio file."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=container)
    return buffer.getvalue()


def tone(duration_s: float, seed: int = 0, rate_hz: int = 16_000) -> np.ndarray:
    """Quiet noise on the grid of 16 bits, so that a lossless copy equals it."""
    n = round(duration_s * rate_hz)
    return np.random.default_rng(seed).integers(-3000, 3000, n).astype(np.int16)


def clip(duration_s: float, seed: int = 0, path: str = "") -> dict[str, Any]:
    """A cell of an audio column."""
    return {"bytes": wav(tone(duration_s, seed)), "path": path or None}


def write_shard(
    path: Path, rows: Sequence[dict[str, Any]], types: dict[str, pyarrow.DataType], group_rows: int = 100
) -> Path:
    """A parquet file with these rows and columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(list(rows), schema=pyarrow.schema(list(types.items())))
    pyarrow.parquet.write_table(table, path, row_group_size=group_rows)
    return path
