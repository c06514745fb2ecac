"""Read parquet files of a corpus row group by row group: the adapter of pyarrow. One row group is in memory at a
time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from k2d.core.errors import K2DError

_MAGIC = b"PAR1"
_TAIL_BYTES = 8  # the footer's length and the magic number
_LFS_POINTER = b"version https://git-lfs"
_BATCH_ROWS = 16  # rows of audio that are converted to Python's bytes at once
_BUFFER_BYTES = 1 << 20
_AGAIN = "fetch it again"


@dataclass(frozen=True, slots=True)
class Clip:
    """A cell of an audio column: the bytes of an audio file, or a path to it. Neither is a fault."""

    content: bytes | None
    path: str | None


Kind = type[str] | type[int] | type[float] | type[Clip]
Row = dict[str, Any]

_IN_WORDS = {str: "text", int: "whole numbers", float: "numbers", Clip: "audio (bytes, path)"}


@dataclass(frozen=True, slots=True)
class Shard:
    """A parquet file with a valid footer. `digest` covers footer and size, and identifies the file's version."""

    path: Path
    columns: Mapping[str, str]
    """Arrow's name of the type of each column."""
    group_rows: tuple[int, ...]
    """The number of rows of each row group."""
    digest: str

    @property
    def n_rows(self) -> int:
        return sum(self.group_rows)


def open_shard(path: Path) -> Shard:
    """Read the footer of a parquet file. K2DError if the file is cut off or is not parquet."""
    digest = _footer_digest(path)
    with _reading(path) as file:
        metadata = file.metadata
        groups = tuple(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups))
        return Shard(path, {field.name: str(field.type) for field in file.schema_arrow}, groups, digest)


def demand_columns(shards: Iterable[Shard], wanted: Mapping[str, Kind]) -> None:
    """Raise a K2DError with every column that is missing from a shard or has another type."""
    faults = [fault for shard in shards for fault in _column_faults(shard, wanted)]
    if faults:
        faults.append("is this another revision of the corpus? its README names the one to fetch")
        raise K2DError("\n".join(faults))


def read_rows(shard: Shard, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a shard with only these columns. An empty cell is a fault of the corpus: K2DError."""
    n_before = 0
    for group, n_rows in enumerate(shard.group_rows):
        with _reading(shard.path) as file:
            rows = file.read_row_group(group, columns=list(columns)).to_pylist()
        for n, row in enumerate(rows):
            if empty := [name for name in columns if row[name] is None]:
                raise K2DError(f"{shard.path}: row {n_before + n}: found no {' nor '.join(empty)}, expected a value")
            yield row
        n_before += n_rows


def read_clips(shard: Shard, column: str, group: int) -> Iterator[Clip]:
    """The audio clips of a row group, one by one."""
    with _reading(shard.path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[column]):
            for cell in batch.column(0):
                value = cell.as_py() or {}
                yield Clip(value.get("bytes"), value.get("path"))


@contextmanager
def _reading(path: Path) -> Iterator[pyarrow.parquet.ParquetFile]:
    """Open a parquet file. Errors of pyarrow become a K2DError that names the file."""
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=_BUFFER_BYTES, pre_buffer=False) as file:
            yield file
    except (pyarrow.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> K2DError:
    return K2DError(f"{path}: is damaged: {str(error).splitlines()[0]}; {_AGAIN}")


def _footer_digest(path: Path) -> str:
    """A digest of the footer. K2DError if the file does not begin and end like a parquet file."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_LFS_POINTER))
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
            n_footer = int.from_bytes(tail[:4], "little")
            file.seek(max(0, size - _TAIL_BYTES - n_footer))
            footer = file.read()
    except OSError as error:
        raise K2DError(f"{path}: cannot be read: {error.strerror or error}") from error
    if head == _LFS_POINTER:
        raise K2DError(f"{path}: is a Git LFS pointer, not the file; fetch it with `git lfs pull`")
    if head[:4] != _MAGIC:
        raise K2DError(f"{path}: is no parquet file: it begins with {head[:8]!r}; {_AGAIN}")
    if tail[-4:] != _MAGIC or size < _TAIL_BYTES + 4 + n_footer:
        raise K2DError(f"{path}: is cut off: {size:,} bytes are there, and its footer is not; {_AGAIN}")
    return hashlib.sha256(f"{size}\n".encode() + footer).hexdigest()


def _column_faults(shard: Shard, wanted: Mapping[str, Kind]) -> Iterator[str]:
    missing = [name for name in wanted if name not in shard.columns]
    if missing:
        yield f"{shard.path}: found the columns {', '.join(shard.columns)}, expected also {', '.join(missing)}"
    for name, kind in wanted.items():
        if name in shard.columns and not _fits(shard.columns[name], kind):
            yield f"{shard.path}: column {name}: found {shard.columns[name]}, expected {_IN_WORDS[kind]}"


def _fits(arrow_type: str, kind: Kind) -> bool:
    """Whether a column of this Arrow type can hold the wanted kind.

    >>> _fits("large_string", str), _fits("int64", float), _fits("string", int)
    (True, True, False)
    >>> _fits("struct<bytes: binary, path: string>", Clip), _fits("string", Clip)
    (True, False)
    """
    if kind is Clip:
        return arrow_type.startswith("struct<") and "bytes: " in arrow_type
    if kind is str:
        return arrow_type in ("string", "large_string", "string_view")
    whole = arrow_type.removeprefix("u").startswith("int")
    return whole or (kind is float and arrow_type in ("halffloat", "float", "double"))
