"""Downloads from a server on this machine: complete, resumed, changed meanwhile, refused. No other host is used."""

import hashlib
import json
import random
import socket
import threading
import urllib.request

import pytest
from file_server import serving

from k2d.core import https_only
from k2d.core.download import Remote, UnreachableHost, fetch
from k2d.core.errors import K2DError

CONTENT = random.Random(0).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
AT_ONCE = (0.0, 0.0, 0.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with serving(CONTENT) as served:
        yield served


@pytest.fixture
def reported():
    return []


@pytest.fixture
def get(server, tmp_path, reported):
    """Fetch the server's file to `sub/file.bin`."""

    def run(digest=f"sha256:{SHA256}", n_bytes=3_000_000):
        return fetch(
            Remote(server.url, n_bytes, digest), tmp_path / "sub" / "file.bin", reported.append, waits_s=AT_ONCE
        )

    return run


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "sub").iterdir())


@pytest.mark.parametrize("digest", [f"sha256:{SHA256}", f"md5:{MD5}", ""])
def test_a_file_is_fetched_once_without_leftovers(get, server, tmp_path, reported, digest):
    assert get(digest) is True
    assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT
    assert files(tmp_path) == ["file.bin"]
    assert get(digest) is False
    assert (len(server.asked), reported) == (1, [])


def test_a_broken_download_is_resumed(get, server, tmp_path, reported):
    server.cut_after = 1_200_000
    assert get() is True
    assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT
    assert [asked.get("Range") for asked in server.asked] == [None, "bytes=1200000-", "bytes=2400000-"]
    assert "the connection closed after 1,200,000 of 3,000,000 bytes; continuing from byte 1,200,000" in reported[0]


def test_another_run_resumes_the_download_of_a_killed_one(get, server, tmp_path):
    server.cut_after, server.moods = 1_000_000, [200, 404]
    with pytest.raises(K2DError, match="not there"):
        get()
    assert files(tmp_path) == ["file.bin.part", "file.bin.part.json"]
    server.cut_after = None
    assert get() is True
    assert server.asked[-1]["Range"] == "bytes=1000000-"
    assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT


def test_a_file_that_changed_on_the_server_is_downloaded_from_the_start(get, server, tmp_path, reported):
    server.cut_after, server.moods = 1_000_000, [200, 404]
    with pytest.raises(K2DError):
        get("", None)
    server.content, server.etag, server.cut_after = CONTENT[::-1], '"v2"', None
    assert get("", None) is True
    assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT[::-1]
    assert reported[-1] == (
        "file.bin.part: started again, 1,000,000 bytes are fetched once more: the file on the server is another one now"
    )


def test_a_server_without_ranges_is_reported_and_starts_from_the_beginning(get, server, tmp_path, reported):
    server.ranges, server.cut_after = False, 1_000_000
    with pytest.raises(K2DError, match=r"closed after 1,000,000 of 3,000,000 bytes; what has been fetched is kept"):
        get()
    server.cut_after = None
    assert get() is True
    assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT
    assert any("the server knows no ranges" in line for line in reported)


def test_without_a_version_a_download_is_not_resumed(get, server, tmp_path):
    """Without an ETag or a date, halves of two versions could be joined."""
    server.etag, server.cut_after, server.moods = "", 1_000_000, [200, 404]
    with pytest.raises(K2DError):
        get()
    server.cut_after = None
    assert get() is True
    assert [asked.get("Range") for asked in server.asked] == [None, None, None]
    assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT


def test_a_resume_record_that_is_damaged_or_of_another_address_is_ignored(get, server, tmp_path):
    (tmp_path / "sub").mkdir()
    for note in ["{", "[]", json.dumps({"url": "https://elsewhere", "validator": '"v1"', "total": 3})]:
        (tmp_path / "sub" / "file.bin.part").write_bytes(b"xyz")
        (tmp_path / "sub" / "file.bin.part.json").write_text(note)
        assert get() is True
        assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT
        (tmp_path / "sub" / "file.bin").unlink()


def test_a_complete_part_file_of_a_killed_run_is_not_fetched_again(get, server, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.bin.part").write_bytes(CONTENT)
    note = {"url": server.url, "validator": '"v1"', "total": None}
    (tmp_path / "sub" / "file.bin.part.json").write_text(json.dumps(note))
    assert get() is True
    assert len(server.asked) == 1  # answered by 416
    assert files(tmp_path) == ["file.bin"]


def test_a_wrong_checksum_is_reported_and_the_file_is_removed(get, tmp_path):
    with pytest.raises(K2DError) as caught:
        get("sha256:" + "0" * 64)
    assert f"found sha256 {SHA256}, expected {'0' * 64}" in str(caught.value)
    assert files(tmp_path) == []


def test_a_wrong_size_is_reported_before_the_download(get, server, tmp_path):
    with pytest.raises(K2DError, match=r"the server has 3,000,000 bytes, 3,000,001 are expected"):
        get(n_bytes=3_000_001)
    assert files(tmp_path) == []


def test_a_damaged_file_of_the_user_is_reported_and_not_overwritten(get, server, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.bin").write_bytes(b"mine")
    with pytest.raises(K2DError, match=r"found 4 bytes, expected 3,000,000: it is damaged"):
        get()
    assert (tmp_path / "sub" / "file.bin").read_bytes() == b"mine"
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "wants to know who asks"),
        (403, "access is denied (HTTP 403): terms may have to be accepted"),
        (404, "the file is not there (HTTP 404)"),
        (410, "the file was withdrawn"),
        (418, "the server refuses (HTTP 418"),
    ],
)
def test_a_refusal_is_reported_once_with_a_remedy(get, server, status, words):
    server.status = status
    with pytest.raises(K2DError) as caught:
        get()
    assert words in str(caught.value)
    assert "a file fetched in another way can be put at" in str(caught.value)
    assert len(server.asked) == 1


def test_a_busy_server_is_tried_again_a_few_times(get, server, tmp_path):
    server.moods = [503, 429]
    assert get() is True
    (tmp_path / "sub" / "file.bin").unlink()
    server.asked.clear()
    server.status = 503
    with pytest.raises(K2DError, match=r"busy or broken \(HTTP 503\); a file fetched in another way"):
        get()
    assert len(server.asked) == 1 + len(AT_ONCE)


def test_a_missing_network_is_reported_at_once(tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(K2DError, match=r"127\.0\.0\.1 cannot be reached \(.*refused.*\): is there a network here\?"):
        fetch(Remote(f"http://127.0.0.1:{port}/x"), tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://example.org/x", "file:///etc/passwd", "ftp://example.org/x", "/etc/passwd"])
def test_only_https_is_fetched(tmp_path, url):
    with pytest.raises(K2DError, match="expected https; nothing else is fetched"):
        fetch(Remote(url), tmp_path / "x")


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://example.org/x", "https://a/b"])
def test_a_redirect_to_another_scheme_or_to_plain_http_is_refused(get, server, place):
    server.redirect = place
    with pytest.raises(K2DError, match=r"expected https|is not allowed"):
        get()


def test_a_redirect_is_followed(get, server, tmp_path):
    server.redirect = server.url + "/moved"
    assert get() is True
    assert (tmp_path / "sub" / "file.bin").read_bytes() == CONTENT


def test_a_server_that_sends_more_than_announced_is_stopped(get, server, tmp_path):
    server.cut_after = 1_000_000
    server.moods = [200, 404]
    with pytest.raises(K2DError):
        get("", None)
    server.content, server.cut_after, server.length_header = CONTENT + CONTENT, None, False
    with pytest.raises(K2DError, match=r"sends more than the 3,000,000 bytes that it promised"):
        get("", None)


def test_a_redirect_from_https_to_this_machine_is_refused():
    request = urllib.request.Request("https://example.org/x")
    with pytest.raises(K2DError, match=r"sends on to http://127\.0\.0\.1/x, expected https"):
        https_only._SafeRedirects().redirect_request(request, None, 302, "", None, "http://127.0.0.1/x")


@pytest.mark.parametrize("digest", ["crc32:0badcafe", "sha256:xyz", "md5:", "sha256"])
def test_an_unknown_kind_of_checksum_is_reported_before_the_download(server, tmp_path, digest):
    with pytest.raises(K2DError) as caught:
        fetch(Remote(f"{server.url}/data.bin", digest=digest), tmp_path / "data.bin")
    assert f"its checksum is {digest!r}, expected sha256: and 64 hexadecimal digits, or md5: and 32" in str(
        caught.value
    )
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_does_not_answer_is_given_up_quickly(tmp_path, monkeypatch):
    """A name look-up that hangs or a firewall that drops packets does not delay the next source."""
    monkeypatch.setattr(https_only, "CONNECT_S", 0.05)
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
    try:
        for url in ("http://localhost:9/x", "https://example.org/x"):
            with pytest.raises(UnreachableHost, match=r"cannot be reached \(no connection within 0\.05 s\)"):
                fetch(Remote(url), tmp_path / "x")
    finally:
        over.set()
