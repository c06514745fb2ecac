"""Returns a published checkpoint by its name: from the cache, or from the first source that has it."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from k2d.core.atomic import PARTIAL, make_folders, partial_file, sync_folder
from k2d.core.download import NotFetched, Remote, UnreachableHost, fetch
from k2d.core.errors import K2DError, UsageError
from k2d.core.file_calls import sync
from k2d.core.layout import shown
from k2d.core.lock import taking_turns
from k2d.models.published.cache import are_published, cached_files, find_cached, record
from k2d.models.published.table import Checkpoint, Source
from k2d.models.published.wheels import download_packages, unpack

HUB, HUB_VARIABLE = "https://huggingface.co", "HF_ENDPOINT"
"""The Hub, and the environment variable that names a mirror of it."""
WAITS_S = (1.0, 2.0, 5.0, 10.0)
"""Waits between tries that download nothing. After the last one, the next source is tried."""
_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)

Report = Callable[[str], None]
Paths = Mapping[str, Path]
"""The path of each file of a source, by its name."""
FilesOf = Callable[[Source], Paths]


def log_or_print(line: str) -> None:
    """Write a line to the log of a stage, which so records the source. Without a log, print it."""
    log = logging.getLogger("k2d")
    if log.handlers:
        log.info("%s", line)
    else:
        print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class FetchRequest:
    """A published checkpoint to fetch, with messages and the digest of its family."""

    title: str
    """For messages, such as `Whisper base`."""
    checkpoint: Checkpoint
    by_hand: str = ""
    """For messages: other ways to get a checkpoint and to give its path."""
    weights_digest: Callable[[Path], str] | None = None
    """Computes the digest of a checkpoint's weights, which is compared with that in the table."""


def obtain(request: FetchRequest, cache: Path, report: Report = log_or_print) -> Path:
    """Return the checkpoint in the cache. Fetch it if it is missing; if two processes need it, only one fetches it."""
    if (found := find_cached(cache, request.checkpoint)) is not None:
        return found
    try:
        make_folders(cache)
        with taking_turns(cache / request.checkpoint.sources[0].form):
            if (found := find_cached(cache, request.checkpoint)) is not None:
                return found
            source = _fetch_from_sources(request, lambda source: cached_files(cache, source), cache, report)
            record(cache, source)
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        raise K2DError(f"{request.title}: not in {shown(cache)}, which cannot be written ({error.strerror})") from error
    found = cache / source.form
    _compare_weights(request, found, report)
    return found


def obtain_into(
    request: FetchRequest, folder: Path, single_name: str, cache: Path, report: Report = log_or_print
) -> Path:
    """Copy the checkpoint from the cache, or fetch it, into a folder. A single file gets the name `single_name`."""

    def files_of(source: Source) -> dict[str, Path]:
        return {name: folder / (single_name if source.folder is None else name) for name in source.files}

    sources = request.checkpoint.sources
    make_folders(folder)
    with taking_turns(folder):
        _refuse_other_files(folder, {path.name for source in sources for path in files_of(source).values()})
        if any(are_published(source, files_of(source)) for source in sources):
            report(f"{request.title}: is in {shown(folder)} already, SHA-256 as published")
            return folder
        if (found := find_cached(cache, request.checkpoint)) is not None:
            source = next(each for each in sources if each.form == found.name)
            _copy(cached_files(cache, source), files_of(source))
            report(f"{request.title}: copied from {shown(found)} to {shown(folder)}")
        else:
            _fetch_from_sources(request, files_of, cache, report)
            _compare_weights(request, folder, report)
    return folder


def _refuse_other_files(folder: Path, own: set[str]) -> None:
    """Raise if the folder has files that do not belong to the checkpoint."""
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


def _fetch_from_sources(request: FetchRequest, files_of: FilesOf, cache: Path, report: Report) -> Source:
    """Fetch from the first source that has the checkpoint, and return that source."""
    sources, failures, unreachable = request.checkpoint.sources, [], set[str]()
    for source in sources:
        paths = files_of(source)
        try:
            _fetch_from(source, paths, unreachable, report)
        except K2DError as error:
            failures.append(f"{source.title}: {error.why if isinstance(error, NotFetched) else error}")
            report(f"{request.title}: {failures[-1]}")
            _remove_if_empty(_folder(paths))
            continue
        for other in sources:
            _remove_unfinished(other, files_of(other))
        n_bytes = sum(path.stat().st_size for path in paths.values())
        place = shown(next(iter(paths.values())) if source.folder is None else _folder(paths))
        report(f"{request.title}: {n_bytes / 1e6:,.0f} MB from {source.title}, SHA-256 as published, now {place}")
        return source
    raise K2DError("\n  ".join([f"{request.title}: no source could be used:", *failures, _remedy(request, cache)]))


def _fetch_from(source: Source, paths: Paths, unreachable: set[str], report: Report) -> None:
    """Fetch all files of a source. Hosts that cannot be reached are added to `unreachable` and not tried again."""
    _rename_damaged(source, paths, report)
    if source.packages:
        _fetch_packages(source, paths, report)
        return
    for name, path in paths.items():
        url, file = _url(source, name), source.files[name]
        host = urlsplit(url).netloc
        if host in unreachable:
            raise K2DError(f"{host} cannot be reached, as above")
        if path.exists():  # damaged files have been renamed
            continue
        try:
            fetch(Remote(url, file.size, f"sha256:{file.sha256}"), path, report, waits_s=WAITS_S)
        except UnreachableHost:
            unreachable.add(host)
            raise


def _url(source: Source, name: str) -> str:
    if source.hub is None:
        return str(source.files[name].url)
    hub = os.environ.get(HUB_VARIABLE) or HUB
    return f"{hub.rstrip('/')}/{source.hub}/resolve/{source.revision}/{quote(name)}"


def _fetch_packages(source: Source, paths: Paths, report: Report) -> None:
    archives = _archives(source, paths)
    make_folders(archives)
    for url in {package.url: None for package in source.packages}:
        packages = [package for package in source.packages if package.url == url]
        listed = " and ".join(f"{package.name} {package.version}" for package in packages)
        n_bytes = sum(package.size for package in packages)
        how = "pip downloads" if url is None else f"{urlsplit(url).netloc} sends"
        report(f"{source.title}: {how} {listed}, {n_bytes / 1e6:,.0f} MB")
    unpack(source, download_packages(source.packages, archives, report), paths)


def _rename_damaged(source: Source, paths: Paths, report: Report) -> None:
    """Rename files with another SHA-256 than the published one. They may be the user's own, so they stay."""
    for name, path in paths.items():
        if path.exists() and not are_published(source, {name: path}):
            renamed = path.with_name(f"{path.name}.damaged")
            path.replace(renamed)
            report(f"{shown(path)}: not the published file (damaged, or another one); renamed to {renamed.name}")


def _remove_unfinished(source: Source, paths: Paths) -> None:
    """Remove unfinished downloads of a source, and the packages that are not needed any more."""
    for path in paths.values():
        for ending in (".part", ".part.json"):
            path.with_name(path.name + ending).unlink(missing_ok=True)
        for partial in path.parent.glob(f".{path.name}.*{PARTIAL}"):  # left by a run that was killed
            partial.unlink(missing_ok=True)
    shutil.rmtree(_archives(source, paths), ignore_errors=True)
    _remove_if_empty(_folder(paths))


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # it does not exist, or is not empty
        folder.rmdir()


def _folder(paths: Paths) -> Path:
    """The folder of a source's files."""
    return next(iter(paths.values())).parent


def _archives(source: Source, paths: Paths) -> Path:
    """The folder for the packages of a source while it is fetched."""
    return _folder(paths) / f".{source.form}.wheels"


def _compare_weights(request: FetchRequest, path: Path, report: Report) -> None:
    """Report if the weights differ from those of other sources, although each file equals the published one."""
    expected, digest = request.checkpoint.weights, request.weights_digest
    if expected is None or digest is None or (found := digest(path)) == expected:
        return
    report(
        f"{request.title}: the weights have the digest {found[:16]}…, those of other sources {expected[:16]}…: models "
        "of this name can differ in the last digits between machines; copy one checkpoint to all of them"
    )


def _remedy(request: FetchRequest, cache: Path) -> str:
    ways = []
    for source in {each.form: each for each in request.checkpoint.sources}.values():
        if source.folder is None:
            name, file = next(iter(source.files.items()))
            ways.append(f"{cache / name} ({file.url or source.title}, SHA-256 {file.sha256})")
    place = f" as {' or '.join(ways)}" if ways else f" in {cache}"
    how = f"; {request.by_hand}" if request.by_hand else ""
    return f"what to do: fetch it where there is a network and put it{place}{how}"
