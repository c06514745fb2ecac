"""Download a file. An interrupted download is continued. The file gets its name only once it is complete and checked.

Only https is allowed, also after redirects; plain http only from this machine. Until it is complete, a download is kept
as `<name>.part`, with a note (`<name>.part.json`) that names its content. If the file on the server has changed since,
the download starts again.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from k2d.core.atomic import sync_folder, write_text
from k2d.core.errors import K2DError
from k2d.core.https_only import opener, refusal, refuse_url
from k2d.core.progress import Progress

TIMEOUT_S = 60.0
BLOCK_BYTES = 1 << 20
WAITS_S = (1.0, 2.0, 5.0, 15.0, 30.0)  # before each further try, if a try downloads nothing
BUSY = (408, 425, 429, 500, 502, 503, 504)

_KEPT = "; what has been fetched is kept"
_DIGEST = re.compile(r"sha256:[0-9a-fA-F]{64}|md5:[0-9a-fA-F]{32}")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Remote:
    """A file to download. `digest` is `sha256:…` or `md5:…`. Size and digest are empty if the publisher gives none."""

    url: str
    n_bytes: int | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """The bytes downloaded so far, and the content that they belong to."""

    path: Path
    url: str
    validator: str = ""
    """The server's name for this content: its ETag, or else its date. A range is requested of this content only."""
    total: int | None = None

    @property
    def n_there(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class _Interrupted(Exception):
    """The transfer was interrupted. Another try may succeed."""


class _Unreachable(_Interrupted):
    """No connection could be made."""


class NotFetched(K2DError):
    """The server does not give the file. `why` is the reason alone, without the advice in the message."""

    def __init__(self, remote: Remote, target: Path, why: str) -> None:
        super().__init__(f"{remote.url}: {why}; a file fetched in another way can be put at {target}")
        self.why = why


class UnreachableHost(NotFetched):
    """No connection could be made, in any try."""


def fetch(remote: Remote, target: Path, say: Say = print, *, waits_s: tuple[float, ...] = WAITS_S) -> bool:
    """Download a file unless a correct one exists. Returns whether anything was downloaded."""
    refuse_url(remote.url)
    _refuse_digest(remote)
    if target.exists():
        _check(target, remote)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _whole_part(remote, target, say, waits_s)
    try:
        _check(part.path, remote)
    except K2DError:
        part.forget()
        raise
    part.path.replace(target)
    sync_folder(target.parent)
    part.forget()
    return True


def _refuse_digest(remote: Remote) -> None:
    """Raise for a checksum in an unknown format, before anything is downloaded."""
    if remote.digest and not _DIGEST.fullmatch(remote.digest):
        expected = "sha256: and 64 hexadecimal digits, or md5: and 32"
        raise K2DError(f"{remote.url}: its checksum is {remote.digest!r}, expected {expected}; correct the list")


def _whole_part(remote: Remote, target: Path, say: Say, waits_s: tuple[float, ...]) -> _Part:
    """Request until the file is complete, and continue after interruptions. Gives up after many tries in a row
    that download nothing.
    """
    part, n_idle, has_answered = _remembered(target, remote.url), 0, False
    while True:
        before = part.n_there
        try:
            return _transfer(remote, part, say)
        except _Interrupted as trouble:
            has_answered = has_answered or not isinstance(trouble, _Unreachable)
            part = _remembered(target, remote.url)
            n_idle = 0 if part.n_there > before else n_idle + 1
            if n_idle > len(waits_s) or not has_answered:
                raised = NotFetched if has_answered else UnreachableHost
                raise raised(remote, target, f"{trouble}{_KEPT if part.n_there else ''}") from None
            wait_s = waits_s[max(n_idle, 1) - 1]
            say(f"{target.name}: {trouble}; continuing from byte {part.n_there:,} in {wait_s:g} s")
            time.sleep(wait_s)


def _transfer(remote: Remote, part: _Part, say: Say) -> _Part:
    """One request, after which the part is complete. Raises _Interrupted if another try may succeed."""
    if part.total is not None and part.n_there == part.total:
        return part
    try:
        with _request(remote, part) as answer:
            part = _continued(answer, part, say)
            _check_total(remote, part)
            _receive(answer, part)
    except urllib.error.HTTPError as error:
        with error:
            _explain(error, remote, part)
    except urllib.error.URLError as error:
        host = urlsplit(remote.url).hostname
        raise _Unreachable(f"{host} cannot be reached ({error.reason}): is there a network here?") from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Interrupted(f"the connection broke ({error or type(error).__name__})") from None
    return part


def _request(remote: Remote, part: _Part) -> http.client.HTTPResponse:
    headers = {"User-Agent": "k2d", "Accept-Encoding": "identity"}
    if part.n_there:
        headers |= {"Range": f"bytes={part.n_there}-", "If-Range": part.validator}
    request = urllib.request.Request(remote.url, headers=headers)  # noqa: S310  # the scheme has been checked
    answer: http.client.HTTPResponse = opener().open(request, timeout=TIMEOUT_S)
    return answer


def _continued(answer: http.client.HTTPResponse, part: _Part, say: Say) -> _Part:
    """The part that this answer continues: the existing one, or a new one if the server sends the whole file."""
    length = answer.headers.get("Content-Length", "")
    if answer.status == 206:
        start, total = _content_range(answer.headers.get("Content-Range", ""))
        if start == part.n_there:
            return part if part.total is not None else _noted(part, part.validator, total)
        part.forget()
        raise _Interrupted(f"the server sent bytes from {start} on, asked for {part.n_there}")
    if n_there := part.n_there:
        why = "the file on the server is another one now" if _takes_ranges(answer) else "the server knows no ranges"
        say(f"{part.path.name}: started again, {n_there:,} bytes are fetched once more: {why}")
    part.forget()
    return _noted(part, _validator(answer), int(length) if length.isdigit() else None)


def _takes_ranges(answer: http.client.HTTPResponse) -> bool:
    return answer.headers.get("Accept-Ranges", "").lower() == "bytes"


def _validator(answer: http.client.HTTPResponse) -> str:
    """A strong ETag or a date. A weak ETag does not guarantee the same bytes."""
    tag: str = answer.headers.get("ETag", "")
    dated: str = answer.headers.get("Last-Modified", "")
    return tag if tag and not tag.startswith("W/") else dated


def _content_range(text: str) -> tuple[int, int | None]:
    """The first byte and the total size of a Content-Range. (-1, None) if it cannot be parsed.

    >>> _content_range("bytes 100-199/500"), _content_range("bytes 0-9/*"), _content_range("?")
    ((100, 500), (0, None), (-1, None))
    """
    span, _, total = text.removeprefix("bytes ").partition("/")
    start = span.partition("-")[0]
    return (int(start) if start.isdigit() else -1), (int(total) if total.isdigit() else None)


def _receive(answer: http.client.HTTPResponse, part: _Part) -> None:
    there = part.n_there
    _check_space(part, there)
    most = part.total
    with part.path.open("ab") as file, Progress(part.path.name.removesuffix(".part"), most, "B") as progress:
        progress.update(there)
        while block := answer.read(BLOCK_BYTES):
            there += len(block)
            if most is not None and there > most:
                raise K2DError(f"{part.url}: sends more than the {most:,} bytes that it promised; fetch it by hand")
            file.write(block)
            progress.update(len(block))
        file.flush()
        os.fsync(file.fileno())
    if most is not None and there < most:
        raise _Interrupted(f"the connection closed after {there:,} of {most:,} bytes")


def _explain(error: urllib.error.HTTPError, remote: Remote, part: _Part) -> None:
    """Raise _Interrupted if another try may succeed, or K2DError with the reason and a remedy."""
    target = part.path.with_name(part.path.name.removesuffix(".part"))
    if error.code == 416:  # everything has been sent, or the file is shorter now
        _, total = _content_range(error.headers.get("Content-Range", ""))
        if total == part.n_there:
            return
        part.forget()
        raise _Interrupted("the file on the server is shorter now than what has been fetched")
    if error.code in BUSY:
        raise _Interrupted(f"the server is busy or broken (HTTP {error.code})")
    raise NotFetched(remote, target, refusal(error)) from None


def _check_total(remote: Remote, part: _Part) -> None:
    if remote.n_bytes is not None and part.total is not None and part.total != remote.n_bytes:
        part.forget()
        raise K2DError(
            f"{remote.url}: the server has {part.total:,} bytes, {remote.n_bytes:,} are expected: it is not the file "
            "that was published; look for this version of it on its publisher's own page"
        )


def _check(path: Path, remote: Remote) -> None:
    """Compare a complete file with the published size and checksum."""
    n_bytes = path.stat().st_size
    if remote.n_bytes is not None and n_bytes != remote.n_bytes:
        found, expected = f"{n_bytes:,} bytes", f"{remote.n_bytes:,}"
    else:
        kind, _, expected = remote.digest.partition(":")
        found = _digest(path, kind) if kind else ""
        if found == expected.lower():
            return
        found = f"{kind} {found}"
    raise K2DError(
        f"{path}: found {found}, expected {expected}: it is damaged, or not the file that was published; "
        "delete it if it is there, and fetch it again"
    )


def _digest(path: Path, kind: str) -> str:
    digest = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file, Progress(f"{path.name}: checksum", path.stat().st_size, "B") as progress:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
            progress.update(len(block))
    return digest.hexdigest()


def _remembered(target: Path, url: str) -> _Part:
    """The part of an earlier run. Empty if it belongs to another URL, or if its content is unknown."""
    part = _Part(target.with_name(f"{target.name}.part"), url)
    with suppress(OSError, ValueError, KeyError, TypeError):
        note = json.loads(part.note.read_text(encoding="utf-8"))
        known = _Part(part.path, note["url"], note["validator"], note["total"])
        if known.url == url and known.validator:
            return known
    part.forget()
    return part


def _noted(part: _Part, validator: str, total: int | None) -> _Part:
    noted = _Part(part.path, part.url, validator, total)
    write_text(noted.note, json.dumps({"url": noted.url, "validator": validator, "total": total}))
    return noted


def _check_space(part: _Part, n_there: int) -> None:
    free = shutil.disk_usage(part.path.parent).free
    needed = (part.total or 0) - n_there
    if free < needed:
        raise K2DError(f"{part.path.parent}: {needed:,} bytes are needed, {free:,} are free; fetch to a larger disk")
