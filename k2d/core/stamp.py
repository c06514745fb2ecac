"""The stamp of a folder: the settings, inputs and code version that made it, and the checksums of its files.

A folder is done if its stamp equals the one that would be written now. Otherwise it is refused, with the changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text
from k2d.core.errors import K2DError
from k2d.core.hashing import Status, files_below, sha256_of, status_of
from k2d.core.layout import shown

STAMP = "stamp.json"

_MOST_SHOWN = 100  # characters of a setting in a message


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a folder's content. Equal recipes make equal folders."""

    stage: str
    version: int
    """The version of the stage's code. Raise it by hand if the same settings would give another result."""
    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    """The fingerprint of each input, by path."""

    @property
    def identity(self) -> str:
        return _digest(asdict(self))


@dataclass(frozen=True, slots=True)
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
    """Date, duration, command and package version: information, not part of the identity."""
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    @property
    def as_made(self) -> Mapping[str, str]:
        """The former hashes of files in which only the experiment's name was changed since they were made.

        Fingerprints use the former hashes, so that an experiment can reuse another one's folders: everything made from
        them is equal in both.
        """
        found = self.made.get("as_made", {})
        return found if isinstance(found, Mapping) else {}


def write_stamp(folder: Path, recipe: Recipe, counts: Mapping[str, Any], made: Mapping[str, Any]) -> Stamp:
    """Record every file below the folder, then write the stamp. A folder with a stamp is complete."""
    files = {name: _record(folder, name, status) for name, status in files_below(folder) if name != STAMP}
    return _write(folder, Stamp(recipe, counts, made, files))


def restamp(folder: Path, stamp: Stamp, renamed: Sequence[str]) -> Stamp:
    """Record files in which only the experiment's name was changed, and keep the records of all others."""
    as_made = {**stamp.as_made, **{name: stamp.as_made.get(name, stamp.files[name].sha256) for name in renamed}}
    files = {**stamp.files, **{name: _record(folder, name, status_of(folder / name)) for name in renamed}}
    return _write(folder, Stamp(stamp.recipe, stamp.counts, {**stamp.made, "as_made": as_made}, files))


def _record(folder: Path, name: str, status: Status) -> FileRecord:
    return FileRecord(status.size_bytes, status.mtime_ns, sha256_of(folder / name, status))


def _write(folder: Path, stamp: Stamp) -> Stamp:
    write_text(folder / STAMP, json.dumps(asdict(stamp), ensure_ascii=False, indent=1, sort_keys=True) + "\n")
    return stamp


class UnreadableStamp(K2DError):
    """A stamp.json that is damaged, or that was not written by this toolkit."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{shown(path)}: not a stamp of this toolkit ({why}); run its stage with --force to make the folder again"
        )
        self.why = why


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp of a folder. None if there is none."""
    path = folder / STAMP
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8")
        if not text.strip("\0 \n"):
            raise UnreadableStamp(path, "it is empty, as after a power cut")
        return _stamp_of(json.loads(text))
    except KeyError as error:
        raise UnreadableStamp(path, f"found no {error.args[0]}") from error
    except RecursionError as error:
        raise UnreadableStamp(path, "it is nested too deeply") from error
    except (OSError, ValueError, TypeError) as error:
        raise UnreadableStamp(path, str(error)) from error


def readable_stamp(folder: Path) -> Stamp | None:
    """The stamp of a folder. None if there is none or it cannot be read."""
    try:
        return read_stamp(folder)
    except UnreadableStamp:
        return None


def differences(old: Recipe, new: Recipe, added: Collection[str] = ()) -> list[str]:
    """The changes from one recipe to another, in words.

    `added` names settings that earlier versions of the code did not record. If the old recipe lacks them, their old
    values are unknown and count as unchanged: a new version of the toolkit alone must not make results outdated.

    >>> old = Recipe("select", 1, {"alpha": 0.4, "rule": "per"}, {"chunks": "12ab"})
    >>> differences(old, Recipe("select", 1, {"alpha": 0.3, "rule": "per"}, {"chunks": "12ab"}))
    ['setting alpha: 0.4 -> 0.3']
    """
    changes = [f"stage: {old.stage} -> {new.stage}"] if old.stage != new.stage else []
    if old.version != new.version:
        changes.append(f"code of stage {new.stage}: version {old.version} -> {new.version}")
    settings = {name: value for name, value in new.settings.items() if name in old.settings or name not in added}
    changes += _changed_settings(old.settings, settings)
    for name in sorted({*old.inputs, *new.inputs}):
        if old.inputs.get(name) != new.inputs.get(name):
            how = "is new" if name not in old.inputs else "is gone" if name not in new.inputs else "has changed"
            changes.append(f"input {name} {how}")
    return changes


@dataclass(frozen=True, slots=True)
class Maker:
    """The folder with the nearest stamp at or above a path."""

    folder: Path
    stamp: Stamp | None
    """None if it cannot be read."""


@dataclass(frozen=True, slots=True)
class PathState:
    """The fingerprint of a path, and how its files differ from the stamp."""

    fingerprint: str
    damage: tuple[str, ...]
    """Files that are missing, added or different from the maker's stamp, by their names in its folder.
    Empty for a single file, and if there is no stamp."""


def maker_of(path: Path, read: Callable[[Path], Stamp | None] = read_stamp) -> Maker | None:
    """The nearest stamped folder at or above a path. None if there is none. `read` reads a folder's stamp."""
    # The nearest one, because stamped folders may contain others.
    for folder in (path, *path.parents):
        try:
            stamp = read(folder)
        except UnreadableStamp:
            return Maker(folder, None)
        if stamp is not None:
            return Maker(folder, stamp)
    return None


def inspect_path(path: Path, maker: Maker | None, *, verify: bool = False) -> PathState:
    """Inspect a file, or all files below a folder, once.

    A file with the size and time of the stamp is not read but assumed to have the stamp's hash, unless `verify` is set.
    """
    # At full scale, chunks and pseudo-labels are terabytes, and each stage needs the fingerprints of its inputs.
    recorded = {} if maker is None or maker.stamp is None else maker.stamp.files
    inside = "" if maker is None or path == maker.folder else path.relative_to(maker.folder).as_posix()
    prefix = f"{inside}/" if inside else ""
    trusted = {} if verify else recorded
    if path.is_dir():
        content = {n: _hash(path, n, found, trusted.get(prefix + n)) for n, found in files_below(path) if n != STAMP}
    else:
        content = {"": _hash(path, "", status_of(path), trusted.get(inside))}
        prefix = inside
    is_known = path.is_dir() and maker is not None and maker.stamp is not None
    damage = tuple(_damage(prefix, content, recorded)) if is_known else ()
    return PathState(_fingerprint(maker, prefix, content), damage)


def damaged_files(folder: Path, stamp: Stamp, *, verify: bool = False) -> list[str]:
    """Files of a stamped folder that are missing, added or different from the stamp."""
    return list(inspect_path(folder, Maker(folder, stamp), verify=verify).damage)


def fingerprint(path: Path) -> str:
    """The fingerprint of an input for a later stage's recipe: the stamp above it, and the hashes of its files.

    The stamp shows changes that the files do not show, such as changed audio with the same paths in wav.scp.
    """
    return inspect_path(path, maker_of(path)).fingerprint


def recorded_fingerprint(path: Path, maker: Maker | None) -> str | None:
    """The fingerprint of a path from the stamp alone, without the files. None if the stamp does not cover the path."""
    if maker is None or maker.stamp is None:
        return None
    files, inside = maker.stamp.files, path.relative_to(maker.folder).as_posix()
    if path != maker.folder and inside in files:
        return _fingerprint(maker, inside, {"": files[inside].sha256})
    prefix = "" if path == maker.folder else f"{inside}/"
    content = {n.removeprefix(prefix): record.sha256 for n, record in files.items() if n.startswith(prefix)}
    return _fingerprint(maker, prefix, content) if content else None


def _fingerprint(maker: Maker | None, prefix: str, content: Mapping[str, str]) -> str:
    """`content` has the hashes of files, whose names in the maker's folder start with `prefix`."""
    if maker is None:
        identity = ""
    elif maker.stamp is None:
        identity = "unreadable"  # results from this path count as changed until it is made again
    else:
        identity, stamp = maker.stamp.recipe.identity, maker.stamp
        content = {name: _as_made(prefix + name, sha256, stamp) for name, sha256 in content.items()}
    return _digest({"maker": identity, "content": content})


def _as_made(name: str, sha256: str, stamp: Stamp) -> str:
    """The hash of a file when it was made. Its present hash if it was edited since."""
    record = stamp.files.get(name)
    return stamp.as_made.get(name, sha256) if record is not None and record.sha256 == sha256 else sha256


def _hash(folder: Path, name: str, status: Status, record: FileRecord | None) -> str:
    # As in make and git: an accidental edit does not set the time back.
    if record is not None and (record.size_bytes, record.mtime_ns) == (status.size_bytes, status.mtime_ns):
        return record.sha256
    return sha256_of(folder / name, status)


def _damage(prefix: str, content: Mapping[str, str], files: Mapping[str, FileRecord]) -> list[str]:
    """The files below a folder (whose names begin with `prefix`) that differ from the records."""
    found = {prefix + name: sha256 for name, sha256 in content.items()}
    recorded = {name: record.sha256 for name, record in files.items() if name.startswith(prefix)}
    missing = [f"{name} is missing" for name in recorded if name not in found]
    added = [f"{name} was added" for name in sorted(found) if name not in recorded]
    edited = [f"{name} was edited" for name in recorded if name in found and found[name] != recorded[name]]
    return missing + added + edited


def _stamp_of(raw: Any) -> Stamp:
    """A stamp from its JSON. TypeError or KeyError if its content is not as expected."""
    _expect("the stamp", raw, Mapping)
    for name in ("recipe", "counts", "made", "files"):
        _expect(name, raw[name], Mapping)
    recipe = Recipe(**raw["recipe"])
    _expect("recipe.stage", recipe.stage, str)
    _expect("recipe.version", recipe.version, int)
    _expect("recipe.settings", recipe.settings, Mapping)
    _expect("recipe.inputs", recipe.inputs, Mapping)
    for name, value in recipe.inputs.items():
        _expect(f"recipe.inputs.{name}", value, str)
    _expect("made.duration_s", raw["made"].get("duration_s", 0), int | float)
    files = {name: _file_record(name, record) for name, record in raw["files"].items()}
    _ = recipe.identity  # settings that are nested too deeply fail here, and the caller reports it
    return Stamp(recipe, raw["counts"], raw["made"], files)


def _file_record(name: str, raw: Any) -> FileRecord:
    _expect(f"files.{name}", raw, Mapping)
    record = FileRecord(**raw)
    _expect(f"files.{name}.size_bytes", record.size_bytes, int)
    _expect(f"files.{name}.mtime_ns", record.mtime_ns, int)
    _expect(f"files.{name}.sha256", record.sha256, str)
    return record


def _expect(what: str, value: object, kind: Any) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{what}: found {type(value).__name__}, expected {getattr(kind, '__name__', kind)}")


def _changed_settings(old: Any, new: Any, at: Sequence[str] = ()) -> list[str]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = list(dict.fromkeys([*old, *new]))
        return [line for n in names for line in _changed_settings(old.get(n), new.get(n), (*at, n))]
    before, now = json.dumps(old), json.dumps(new)  # as JSON, in which a tuple is a list
    return [] if before == now else [f"setting {'.'.join(at)}: {_shortened(before)} -> {_shortened(now)}"]


def _shortened(value: str) -> str:
    """A value cut to the length of a line, because it may be a whole section of a config."""
    return value if len(value) <= _MOST_SHOWN else f"{value[:_MOST_SHOWN]}…"


def _digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # file names may contain any bytes
