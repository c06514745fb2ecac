"""What made a folder: the settings, inputs and code version behind it, and the checksums of what it holds.

A folder whose stamp equals the one that would be written now is done; any other is refused, with what changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k2d.atomic import write_text
from k2d.faults import K2DError
from k2d.paths import shown

STAMP = "stamp.json"


@dataclass(frozen=True)
class Recipe:
    """All that decides what a folder holds. Equal recipes make equal folders."""

    stage: str
    version: int
    """Of the stage's code; raised by hand when the same settings would give another result."""
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Fingerprint of each input, by its path."""

    @property
    def identity(self) -> str:
        return _digest(asdict(self))


@dataclass(frozen=True)
class FileRecord:
    size_bytes: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Stamp:
    """A finished folder's record, stored in it as stamp.json."""

    recipe: Recipe
    counts: Mapping[str, Any]
    made: Mapping[str, Any]
    """When, how long, by which command and package version: information, not part of the identity."""
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    @property
    def as_made(self) -> Mapping[str, str]:
        """Files in which only the experiment's name was changed since they were made, and their hashes before.

        They count in fingerprints as they were made, so that what is made from them is the same in both experiments.
        """
        found = self.made.get("as_made", {})
        return found if isinstance(found, Mapping) else {}


def write_stamp(folder: Path, recipe: Recipe, counts: Mapping[str, Any], made: Mapping[str, Any]) -> Stamp:
    """Record every file below the folder and write the stamp as the last of them."""
    files = {name: _record(folder / name) for name in _files_below(folder)}
    return _write(folder, Stamp(recipe, counts, made, files))


def restamp(folder: Path, stamp: Stamp, renamed: Sequence[str]) -> Stamp:
    """Record files in which only the experiment's name was changed; the others are as they were."""
    as_made = {**stamp.as_made, **{name: stamp.as_made.get(name, stamp.files[name].sha256) for name in renamed}}
    files = {**stamp.files, **{name: _record(folder / name) for name in renamed}}
    return _write(folder, Stamp(stamp.recipe, stamp.counts, {**stamp.made, "as_made": as_made}, files))


def _write(folder: Path, stamp: Stamp) -> Stamp:
    write_text(folder / STAMP, json.dumps(asdict(stamp), ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    return stamp


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp of a folder, None where there is none."""
    path = folder / STAMP
    if not path.is_file():
        return None
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        files = {name: FileRecord(**record) for name, record in raw["files"].items()}
        return Stamp(Recipe(**raw["recipe"]), raw["counts"], raw["made"], files)
    except (ValueError, KeyError, TypeError) as error:
        raise K2DError(
            f"{shown(path)}: not a stamp of this toolkit ({error}); remove the folder, or use --force"
        ) from error


def differences(old: Recipe, new: Recipe) -> list[str]:
    """What changed from one recipe to another, in words.

    >>> old = Recipe("select", 1, {"alpha": 0.4, "rule": "per"}, {"chunks": "12ab"})
    >>> differences(old, Recipe("select", 1, {"alpha": 0.3, "rule": "per"}, {"chunks": "12ab"}))
    ['setting alpha: 0.4 -> 0.3']
    """
    changes = [f"stage: {old.stage} -> {new.stage}"] if old.stage != new.stage else []
    if old.version != new.version:
        changes.append(f"code of stage {new.stage}: version {old.version} -> {new.version}")
    changes += _changed_settings(old.settings, new.settings)
    for name in sorted({*old.inputs, *new.inputs}):
        if old.inputs.get(name) != new.inputs.get(name):
            how = "is new" if name not in old.inputs else "is gone" if name not in new.inputs else "has changed"
            changes.append(f"input {name} {how}")
    return changes


def damaged_files(folder: Path, stamp: Stamp) -> list[str]:
    """Files that are missing, added or no longer what the stamp recorded. Unchanged size and time are trusted."""
    found = set(_files_below(folder))
    missing = [f"{name} is missing" for name in stamp.files if name not in found]
    added = [f"{name} was added" for name in sorted(found - set(stamp.files))]
    edited = [
        f"{name} was edited"
        for name, record in stamp.files.items()
        if name in found and not _same(folder / name, record)
    ]
    return missing + added + edited


def fingerprint(path: Path) -> str:
    """What a later stage's recipe says of an input: who made it (the stamp above it) and what it holds.

    The stamp tells of changes that the files do not show, such as louder noise under the same audio paths.
    """
    stamps = ((folder, stamp) for folder in (path, *path.parents) if (stamp := _stamp_or_none(folder)) is not None)
    folder, maker = next(stamps, (path, None))
    names = _files_below(path) if path.is_dir() else [""]
    content = {name: _sha256(path / name if name else path) for name in names}
    if maker is not None:
        inside = path.relative_to(folder)
        content = {name: _as_made((inside / name).as_posix(), sha256, maker) for name, sha256 in content.items()}
    return _digest({"maker": maker.recipe.identity if maker else "", "content": content})


def _as_made(name: str, sha256: str, stamp: Stamp) -> str:
    """The hash by which a file counts; one that was edited counts as it is."""
    record = stamp.files.get(name)
    return stamp.as_made.get(name, sha256) if record is not None and record.sha256 == sha256 else sha256


def _stamp_or_none(folder: Path) -> Stamp | None:
    return read_stamp(folder) if (folder / STAMP).is_file() else None


def _changed_settings(old: Any, new: Any, at: Sequence[str] = ()) -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = list(dict.fromkeys([*old, *new]))
        return [line for n in names for line in _changed_settings(old.get(n), new.get(n), (*at, n))]
    before, now = json.dumps(old), json.dumps(new)  # as they are stored: a tuple is a list there
    return [] if before == now else [f"setting {'.'.join(at)}: {before} -> {now}"]


def _files_below(folder: Path) -> list[str]:
    files = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and p != folder / STAMP)
    return sorted(str(name) for name in files if not any(part.startswith(".") for part in name.parts))


def _record(path: Path) -> FileRecord:
    status = path.stat()
    return FileRecord(status.st_size, status.st_mtime_ns, _sha256(path))


def _same(path: Path, record: FileRecord) -> bool:
    status = path.stat()
    if status.st_size != record.size_bytes:
        return False
    return status.st_mtime_ns == record.mtime_ns or _sha256(path) == record.sha256


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
