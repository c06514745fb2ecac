"""Write audio that a corpus stores inside parquet as FLAC files, once. A row group is a folder, complete or absent.

A file is named by its row, never by an id or a path from the corpus. The folder's name contains the digest of the
parquet file's footer, so that revisions of a corpus are not confused. A clip that cannot be decoded is kept as it is,
and a missing one is left out. Stage 1 rejects both with their reasons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import K2DError
from k2d.core.progress import track
from k2d.core.workers import run_each
from k2d.data.audio import RATE_HZ, AudioError, AudioSource, read, write
from k2d.data.raw.parquet import Clip, Kind, Row, Shard, demand_columns, read_clips, read_rows

_DIGEST_CHARACTERS = 12
_FLAC = b"fLaC"


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group whose audio is to be written."""

    shard: Shard
    column: str
    number: int
    folder: Path


def rows_with_audio(
    shards: Sequence[Shard], columns: Mapping[str, Kind], audio: str, store: Path, *, nj: int
) -> Iterator[tuple[Shard, int, Row, Path]]:
    """Every row: its shard, its row number, the values of `columns`, and its audio as a file below `store`."""
    demand_columns(shards, {**columns, audio: Clip})
    store_audio(shards, audio, store, nj=nj)
    for shard in shards:
        paths = _audio_paths(shard, audio, store)
        for number, (row, path) in enumerate(zip(read_rows(shard, list(columns)), paths, strict=True)):
            yield shard, number, row, path


def store_audio(shards: Sequence[Shard], column: str, store: Path, *, nj: int) -> None:
    """Write the audio of every row group that is not stored yet, `nj` groups in parallel."""
    groups = [
        _Group(shard, column, number, _folder(shard, column, number, store))
        for shard in shards
        for number in range(len(shard.group_rows))
    ]
    to_do = [group for group in groups if not group.folder.is_dir()]
    if not to_do:
        return
    label = f"{shards[0].path.name.partition('-')[0]}: writing audio"
    for outcome in track(run_each(_write_group, to_do, nj=nj), label, len(to_do), "row groups"):
        if outcome.error:
            where = f"{outcome.item.shard.path}: row group {outcome.item.number}"
            why = outcome.exception if isinstance(outcome.exception, K2DError) else outcome.error
            raise K2DError(f"{where}: its audio could not be written; what is done is kept, run again:\n{why}")


def _audio_paths(shard: Shard, column: str, store: Path) -> Iterator[Path]:
    for number, n_rows in enumerate(shard.group_rows):
        folder = _folder(shard, column, number, store)
        yield from (folder / _name(row) for row in range(n_rows))


def _folder(shard: Shard, column: str, number: int, store: Path) -> Path:
    return store / f"{shard.path.stem}-{shard.digest[:_DIGEST_CHARACTERS]}" / f"{column}-{number:05d}"


def _name(row: int) -> str:
    return f"{row:05d}.flac"


def _write_group(group: _Group) -> None:
    """Write the clips of a row group. Runs in a worker."""
    partial = new_partial_folder(group.folder)
    for row, clip in enumerate(read_clips(group.shard, group.column, group.number)):
        if clip.content is not None:
            _write_clip(clip.content, partial / _name(row))
        elif clip.path and (beside := _beside(group.shard.path.parent, clip.path)):
            _write_clip(beside.read_bytes(), partial / _name(row))
    publish_folder(partial, group.folder)


def _write_clip(content: bytes, target: Path) -> None:
    target.write_bytes(content)
    if content.startswith(_FLAC):
        return
    try:
        samples = read(AudioSource(target))
        write(target, samples, RATE_HZ, durable=False)  # the whole folder is synced when it is published
    except AudioError as error:
        if error.is_passing:  # the disk failed; the clip may be good
            raise
        # A bad clip is kept as it is. Stage 1 reports what is wrong with it.


def _beside(folder: Path, stated: str) -> Path | None:
    """The file that a path in the corpus names: the path below the parquet file's folder, or a file of that name in it.

    A path from another machine's cache is absolute. A path that leads out of the folder is never followed.
    """
    path = PurePosixPath(stated)
    inner = [] if path.is_absolute() or ".." in path.parts else [folder / path]
    for candidate in (*inner, folder / path.name):
        if candidate.is_file() and candidate.resolve().is_relative_to(folder.resolve()):
            return candidate
    return None
