"""A file server on this machine with the faults of real ones. It answers a limited number of requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_REQUESTS = 30


@dataclass
class Served:
    """What is served under any path, and how. Change it between requests."""

    content: bytes
    at: dict[str, bytes] = field(default_factory=dict)
    """If given: the contents by path, and nothing elsewhere."""
    links: dict[str, str] = field(default_factory=dict)
    """The header `Link` of answers, by path."""
    types: dict[str, str] = field(default_factory=dict)
    """The header `Content-Type` of answers, by path."""
    etag: str = '"v1"'
    ranges: bool = True
    status: int = 200
    """Of every answer, unless there are `moods`."""
    moods: list[int] = field(default_factory=list)
    """Status of the next answers, before `status` holds."""
    cut_after: int | None = None
    """Close the connection after so many bytes of an answer."""
    length_header: bool = True
    redirect: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    """The headers of every request."""
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    served: Served

    def do_GET(self) -> None:
        served = self.served
        served.asked.append({**self.headers, "path": self.path})
        status = served.moods.pop(0) if served.moods else served.status
        if len(served.asked) > MAX_REQUESTS:
            status = 410
        if served.redirect and not self.path.endswith("/moved"):
            self._answer(302, b"", {"Location": served.redirect})
        elif status != 200:
            self._answer(status, b"no", {})
        elif served.at and self.path not in served.at:
            self._answer(404, b"no", {})
        else:
            self._send_file(served.at.get(self.path, served.content))

    def _send_file(self, content: bytes) -> None:
        served, start = self.served, 0
        asked = self.headers.get("Range", "")
        headers = {"ETag": served.etag} if served.etag else {}
        if self.path in served.links:
            headers["Link"] = served.links[self.path]
        if self.path in served.types:
            headers["Content-Type"] = served.types[self.path]
        status = 200
        if served.ranges:
            headers["Accept-Ranges"] = "bytes"
        if asked and served.ranges and self.headers.get("If-Range") == served.etag:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(content):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(status, content[start:], headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.served.length_header:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body if self.served.cut_after is None else body[: self.served.cut_after])

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def serving(content: bytes) -> Iterator[Served]:
    """Serve on a free port of 127.0.0.1 for the time of the block."""
    served = Served(content)
    handler = type("Handler", (_Handler,), {"served": served})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        served.url = f"http://127.0.0.1:{server.server_address[1]}/file.bin"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
