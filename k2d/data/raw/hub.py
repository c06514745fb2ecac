"""List the files of a data set on the Hugging Face Hub at one revision, with sizes and checksums."""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any
from urllib.parse import quote, urljoin, urlsplit

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from k2d.core.download import TIMEOUT_S, Remote
from k2d.core.errors import K2DError
from k2d.core.https_only import opener, refusal, refuse_url

ENDPOINT = "https://huggingface.co"
MAX_PAGE_BYTES = 1 << 24  # a page has up to 1,000 entries of about 400 bytes
MAX_PAGES = 100
SHOWN = 5

_NEXT = re.compile(r'<([^<>]+)>\s*;\s*rel="?next"?')
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
class HubFiles:
    """The files of a data set on the Hub, as corpus.yaml names them."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")]
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    """The hash of a commit, because a branch may change."""
    files: Annotated[tuple[str, ...], Field(min_length=1)]
    """Patterns of paths. `*` also matches slashes."""


def listed(hub: HubFiles, endpoint: str = ENDPOINT) -> list[tuple[str, Remote]]:
    """The path and the URL of every file that matches a pattern. Each pattern must match at least one file."""
    entries = list(_entries(hub, endpoint.rstrip("/")))
    names = [name for name, _ in entries]
    if unmatched := [pattern for pattern in hub.files if not any(fnmatchcase(name, pattern) for name in names)]:
        there = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        at = f"{hub.dataset}@{hub.revision[:8]}"
        raise K2DError(f"{at}: found no file for {', '.join(unmatched)}, expected one; there are {there or 'none'}")
    return [(name, remote) for name, remote in entries if any(fnmatchcase(name, each) for each in hub.files)]


def _entries(hub: HubFiles, endpoint: str) -> Iterator[tuple[str, Remote]]:
    page = f"{endpoint}/api/datasets/{hub.dataset}/tree/{hub.revision}?recursive=true"
    for _ in range(MAX_PAGES):
        items, following = _page(page)
        for item in items:
            if item.get("type") == "file":
                name = str(item.get("path", ""))
                yield name, _remote(f"{endpoint}/datasets/{hub.dataset}/resolve/{hub.revision}/{quote(name)}", item)
        if not following:
            return
        page = urljoin(page, following)
    raise K2DError(f"{page}: the list has more than {MAX_PAGES} pages; fetch the files by hand")


def _remote(url: str, item: dict[str, Any]) -> Remote:
    """The file to download. The Hub gives a SHA-256 for large files; for small ones, which are in Git, only the
    size.
    """
    large = item.get("lfs")
    digest = str(large.get("oid", "")) if isinstance(large, dict) else ""
    size = item.get("size")
    return Remote(url, size if isinstance(size, int) else None, f"sha256:{digest}" if _SHA256.fullmatch(digest) else "")


def _page(url: str) -> tuple[list[dict[str, Any]], str]:
    """A page of the list, and the URL of the next page. Empty if there is none."""
    refuse_url(url)
    request = urllib.request.Request(url, headers={"User-Agent": "k2d"})  # noqa: S310  # the scheme has been checked
    try:
        with opener().open(request, timeout=TIMEOUT_S) as answer:
            content = answer.read(MAX_PAGE_BYTES + 1)
            link: str = answer.headers.get("Link", "")
    except urllib.error.HTTPError as error:
        with error:
            raise K2DError(f"{url}: {refusal(error)}") from None
    except urllib.error.URLError as error:
        why = f"cannot be reached ({error.reason}): is there a network here?"
        raise K2DError(f"{urlsplit(url).hostname} {why}") from None
    except (http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise K2DError(f"{url}: the connection broke ({error or type(error).__name__}); try again") from None
    try:
        items = json.loads(content) if len(content) <= MAX_PAGE_BYTES else None
    except (ValueError, RecursionError):
        items = None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise K2DError(f"{url}: found {content[:40]!r}, expected a list of files in JSON; is this the Hub?")
    following = _NEXT.search(link)
    return items, following[1] if following else ""
