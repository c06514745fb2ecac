"""The cache of published checkpoints: paths of a source's files, and whether they equal the published ones.

A file is read once. After that, its size, time and inode are compared with a record beside the checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from k2d.core.atomic import write_text
from k2d.core.hashing import Status, read_sha256, status_of
from k2d.models.published.table import Checkpoint, Source

State = Literal["verified", "not verified yet", "damaged", "not there"]


def cached_files(cache: Path, source: Source) -> dict[str, Path]:
    """The paths of a source's files in the cache, by their names."""
    folder = cache if source.folder is None else cache / source.folder
    return {name: folder / name for name in source.files}


def find_cached(cache: Path, checkpoint: Checkpoint) -> Path | None:
    """A checkpoint in the cache whose files all equal the published ones, from any source."""
    for source in checkpoint.sources:
        state = state_of(cache, source)
        if state == "verified" or (state == "not verified yet" and verify(cache, source)):
            return cache / source.form
    return None


def state_of(cache: Path, source: Source) -> State:
    """The state of a source's files, from their sizes and the record. The files are not read."""
    found = _statuses(cached_files(cache, source))
    if found is None:
        return "not there"
    known = _recorded(cache, source)
    if any(file.size not in (None, found[name].size_bytes) for name, file in source.files.items()):
        return "damaged"
    if all(known.get(name) == [source.files[name].sha256, *status] for name, status in found.items()):
        return "verified"
    return "not verified yet"


def verify(cache: Path, source: Source) -> bool:
    """Read all files of a source. If each has its SHA-256, write the record and return True."""
    paths = cached_files(cache, source)
    before = _statuses(paths)
    if before is None or not are_published(source, paths) or before != _statuses(paths):
        return False
    record(cache, source)
    return True


def record(cache: Path, source: Source) -> None:
    """Record that the files of a source, which have just been read, equal the published ones."""
    found = _statuses(cached_files(cache, source)) or {}
    content = {name: [source.files[name].sha256, *status] for name, status in found.items()}
    with suppress(OSError):  # a shared cache can be read-only; then the files are read each time
        write_text(_record_file(cache, source), json.dumps(content, indent=1) + "\n")


def are_published(source: Source, paths: Mapping[str, Path]) -> bool:
    """Whether the files have the SHA-256 of the table."""
    return all(path.is_file() and read_sha256(path) == source.files[name].sha256 for name, path in paths.items())


def _statuses(paths: Mapping[str, Path]) -> dict[str, Status] | None:
    """The status of each file. None unless all files exist."""
    try:
        return {name: status_of(path) for name, path in paths.items()}
    except OSError:
        return None


def _record_file(cache: Path, source: Source) -> Path:
    return cache / f".{source.form}.verified.json"


def _recorded(cache: Path, source: Source) -> Mapping[str, Any]:
    """The record's entry for each file. Empty if the record cannot be read."""
    try:
        found = json.loads(_record_file(cache, source).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
