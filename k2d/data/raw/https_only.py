"""Which URLs may be downloaded: https only, also after redirects; plain http only from this machine, for tests.

Also explains a server's refusals.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import urlsplit

from k2d.core.errors import K2DError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_SafeRedirects)


def refuse_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return
    raise K2DError(f"{url}: found {parts.scheme or 'no scheme'}, expected https; nothing else is fetched")


def refusal(error: urllib.error.HTTPError) -> str:
    """The meaning of a server's refusal, and a remedy."""
    return {
        401: "the server wants to know who asks (HTTP 401): sign in there and fetch it by hand",
        403: "access is denied (HTTP 403): terms may have to be accepted there first, or the link has expired",
        404: "the file is not there (HTTP 404): it was moved or withdrawn; look at the corpus's own page",
        410: "the file was withdrawn (HTTP 410): look at the corpus's own page",
    }.get(error.code, f"the server refuses (HTTP {error.code} {error.reason})")


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to https. urllib would also follow them to http and ftp."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != urlsplit(req.full_url).scheme:
            raise K2DError(f"{req.full_url}: sends on to {newurl}, expected https; nothing else is fetched")
        refuse_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)
