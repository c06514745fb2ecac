"""Which URLs may be downloaded: https only, also after redirects; plain http only from this machine, for tests.

Connections are made in bounded time. Also explains a server's refusals.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import IO
from urllib.parse import urlsplit

from k2d.core.errors import K2DError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
CONNECT_S = 6.0
"""How long a connection may take, with the look-up of the name, all addresses of the host, a proxy and TLS."""


def opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_SafeRedirects, _PromptHttp, _PromptHttps)


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
        404: "the file is not there (HTTP 404): it was moved or withdrawn; look at its publisher's own page",
        410: "the file was withdrawn (HTTP 410): look at its publisher's own page",
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


# --- connections in bounded time ---


def _connect_soon(connect: Callable[[], None]) -> None:
    """Connect, or raise TimeoutError after CONNECT_S."""
    # A thread, because a name look-up has no time limit, and a limit on sockets starts again for each address.
    raised: list[BaseException] = []

    def run() -> None:
        try:
            connect()
        except BaseException as error:  # raised again below, in the thread that asked
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(CONNECT_S)
    if thread.is_alive():
        raise TimeoutError(f"no connection within {CONNECT_S:g} s")
    if raised:
        raise raised[0]


class _HttpConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        _connect_soon(super().connect)


class _HttpsConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        _connect_soon(super().connect)


class _PromptHttp(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpConnection, req)


class _PromptHttps(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_HttpsConnection, req, context=ssl.create_default_context())
