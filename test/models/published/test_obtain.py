"""A published checkpoint from the cache and from its sources, with servers on this machine. No other host is used."""

import logging
import logging.handlers
import os
import random
import socket
import threading
import time

import pytest
from file_server import serving
from made_sources import address, at_address, made_table, on_hub, sha256

from k2d.core.errors import K2DError, UsageError
from k2d.models.published import cache as cache_module
from k2d.models.published import obtain as obtain_module
from k2d.models.published.cache import state_of
from k2d.models.published.obtain import FetchRequest, obtain, obtain_into

PT = random.Random(1).randbytes(400_000)
BIN, CONFIG = random.Random(2).randbytes(300_000), b'{"n": 1}'
FOLDER = {"model.bin": BIN, "config.json": CONFIG}


@pytest.fixture(autouse=True)
def _this_machine_alone(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(obtain_module, "WAITS_S", (0.0, 0.0))


@pytest.fixture
def server(monkeypatch):
    with serving(b"") as served:
        served.at["/"] = b""
        monkeypatch.setenv("HF_ENDPOINT", address(served, "/"))
        yield served


@pytest.fixture
def reported():
    return []


@pytest.fixture
def asked(tmp_path):
    """Make a request for `base` with these sources."""

    def make(*sources, weights=None, digest=None):
        table = made_table(tmp_path / "table.yaml", *sources, **({"weights": weights} if weights else {}))
        return FetchRequest("Whisper base", table["base"], "or wait", digest)

    return make


def unreachable(name="gone.pt"):
    """A source on a port on which no server listens."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/{name}"
    return {"title": "nowhere", "files": {name: {"sha256": sha256(PT), "url": url}}}


def test_the_first_source_is_used_and_later_the_cache(server, asked, tmp_path, reported):
    request = asked(unreachable(), at_address(server, "base.pt", PT), on_hub(server, "me/faster-base", FOLDER))
    cache = tmp_path / "cache"
    assert obtain(request, cache, reported.append) == cache / "base.pt"
    assert (cache / "base.pt").read_bytes() == PT
    assert "Whisper base: nowhere: 127.0.0.1 cannot be reached" in reported[0]
    assert reported[1] == f"Whisper base: 0 MB from the maker, SHA-256 as published, now {cache / 'base.pt'}"
    assert obtain(request, cache, reported.append) == cache / "base.pt"
    assert (len(reported), len(server.asked)) == (2, 1)


def test_a_repository_on_the_hub_gives_a_folder(server, asked, tmp_path, reported):
    found = obtain(asked(on_hub(server, "me/faster-base", FOLDER)), tmp_path, reported.append)
    assert found == tmp_path / "faster-base"
    assert {path.name: path.read_bytes() for path in found.iterdir()} == FOLDER


def test_an_unreachable_host_is_not_tried_again(asked, tmp_path, reported, monkeypatch):
    nowhere = unreachable()
    host = nowhere["files"]["gone.pt"]["url"].removesuffix("/gone.pt")
    monkeypatch.setenv("HF_ENDPOINT", host)
    hub = {"title": "the Hub", "hub": "me/x", "revision": "0" * 40, "folder": "x", "files": {"a": {"sha256": "0" * 64}}}
    with pytest.raises(K2DError) as caught:
        obtain(asked(nowhere, hub), tmp_path / "cache", reported.append)
    assert reported[1] == f"Whisper base: the Hub: {host.removeprefix('http://')} cannot be reached, as above"
    lines = str(caught.value).splitlines()
    assert lines[0] == "Whisper base: no source could be used:"
    assert "nowhere: 127.0.0.1 cannot be reached" in lines[1]
    assert lines[3].startswith(
        f"  what to do: fetch it where there is a network and put it as {tmp_path}/cache/gone.pt"
    )
    assert f"SHA-256 {sha256(PT)}); or wait" in lines[3]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".gone.pt.lock"]


def test_a_broken_download_is_resumed_by_another_run(server, asked, tmp_path, reported):
    request = asked(at_address(server, "base.pt", PT))
    server.cut_after, server.moods = 100_000, [200, 404]
    with pytest.raises(K2DError, match="no source could be used"):
        obtain(request, tmp_path, reported.append)
    server.cut_after = None
    obtain(request, tmp_path, reported.append)
    assert server.asked[-1]["Range"] == "bytes=100000-"
    assert (tmp_path / "base.pt").read_bytes() == PT


def test_unfinished_files_are_removed_after_another_source_succeeds(server, asked, tmp_path, reported):
    request = asked(at_address(server, "base.pt", PT), on_hub(server, "me/faster-base", FOLDER))
    server.cut_after, server.moods = 350_000, [200, 404]
    assert obtain(request, tmp_path, reported.append) == tmp_path / "faster-base"
    assert sorted(path.name for path in tmp_path.glob("base.pt*")) == []


def test_a_wrong_file_is_refused_and_the_next_source_is_tried(server, asked, tmp_path, reported):
    wrong = at_address(server, "base.pt", PT)
    server.at["/weights/base.pt"] = PT[::-1]
    assert obtain(asked(wrong, on_hub(server, "me/f", FOLDER)), tmp_path, reported.append) == tmp_path / "f"
    assert f"found sha256 {sha256(PT[::-1])}, expected {sha256(PT)}" in reported[0]


def test_a_damaged_file_in_the_cache_is_kept_beside_the_new_one(server, asked, tmp_path, reported):
    request = asked(at_address(server, "base.pt", PT))
    mine = b"x" * len(PT)
    (tmp_path / "base.pt").write_bytes(mine)
    obtain(request, tmp_path, reported.append)
    assert (tmp_path / "base.pt").read_bytes() == PT
    assert (tmp_path / "base.pt.damaged").read_bytes() == mine
    assert reported[0].endswith("not the published file (damaged, or another one); renamed to base.pt.damaged")


def test_a_file_in_the_cache_is_read_once_and_again_when_it_changes(server, asked, tmp_path, reported, monkeypatch):
    request = asked(at_address(server, "base.pt", PT))
    (tmp_path / "base.pt").write_bytes(PT)  # by openai-whisper, or by hand
    (source,) = request.checkpoint.sources
    assert state_of(tmp_path, source) == "not verified yet"
    n_read, read = [], cache_module.read_sha256
    monkeypatch.setattr(cache_module, "read_sha256", lambda path: n_read.append(path) or read(path))
    for _ in range(3):
        assert obtain(request, tmp_path, reported.append) == tmp_path / "base.pt"
    assert (len(n_read), server.asked) == (1, [])
    assert state_of(tmp_path, source) == "verified"
    os.utime(tmp_path / "base.pt", (1, 1))
    assert state_of(tmp_path, source) == "not verified yet"
    obtain(request, tmp_path, reported.append)
    assert len(n_read) == 2
    (tmp_path / "base.pt").write_bytes(PT[:-1])
    assert state_of(tmp_path, source) == "damaged"
    (tmp_path / ".base.pt.verified.json").write_text("[]")
    (tmp_path / "base.pt").write_bytes(PT)
    assert obtain(request, tmp_path, reported.append) == tmp_path / "base.pt"


def test_a_read_only_cache_can_be_used(server, asked, tmp_path, reported, monkeypatch):
    (tmp_path / "base.pt").write_bytes(PT)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache_module, "write_text", refuse)
    monkeypatch.setattr(obtain_module, "taking_turns", refuse)
    assert obtain(asked(at_address(server, "base.pt", PT)), tmp_path, reported.append) == tmp_path / "base.pt"
    with pytest.raises(K2DError, match=r"not in \S+, which cannot be written \(Permission denied\)"):
        obtain(asked(at_address(server, "other.pt", PT)), tmp_path, reported.append)


def test_of_two_simultaneous_requests_one_fetches_for_both(server, asked, tmp_path, reported, monkeypatch):
    request, found = asked(on_hub(server, "me/f", FOLDER)), []
    fetch = obtain_module.fetch

    def slowly(*words, **options):
        time.sleep(0.1)
        return fetch(*words, **options)

    monkeypatch.setattr(obtain_module, "fetch", slowly)
    both = [threading.Thread(target=lambda: found.append(obtain(request, tmp_path, reported.append))) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert found == [tmp_path / "f"] * 2
    assert len(server.asked) == len(FOLDER)


def test_weights_that_differ_from_those_of_other_sources_are_reported(server, asked, tmp_path, reported):
    source = at_address(server, "base.pt", PT)
    obtain(asked(source, weights="a" * 64, digest=lambda path: "a" * 64), tmp_path / "1", reported.append)
    assert len(reported) == 1
    obtain(asked(source, weights="a" * 64, digest=lambda path: "b" * 64), tmp_path / "2", reported.append)
    assert "the weights have the digest bbbbbbbbbbbbbbbb…, those of other sources aaaaaaaaaaaaaaaa…" in reported[-1]


def test_the_log_of_a_stage_records_the_source(server, asked, tmp_path, capsys, caplog, monkeypatch):
    request = asked(at_address(server, "base.pt", PT))
    obtain(request, tmp_path / "1")
    assert "0 MB from the maker" in capsys.readouterr().err
    kept = logging.handlers.BufferingHandler(10)
    monkeypatch.setattr(logging.getLogger("k2d"), "handlers", [kept])
    caplog.set_level(logging.INFO, "k2d")
    obtain(request, tmp_path / "2")
    assert "0 MB from the maker" in kept.buffer[0].getMessage()
    assert capsys.readouterr().err == ""


# --- into a folder ---


def test_a_folder_of_its_own_is_fetched_or_copied(server, asked, tmp_path, reported):
    request = asked(at_address(server, "base.pt", PT), on_hub(server, "me/f", FOLDER))
    cache, folder = tmp_path / "cache", tmp_path / "models" / "base"
    assert obtain_into(request, folder, "model.pt", cache, reported.append) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"model.pt": PT}
    assert not cache.exists()
    assert obtain_into(request, folder, "model.pt", cache, reported.append) == folder
    assert reported[-1].endswith("is in " + str(folder) + " already, SHA-256 as published")
    server.at.pop("/weights/base.pt")
    obtain(request, cache, reported.append)
    n_asked = len(server.asked)
    obtain_into(request, tmp_path / "copy", "model.pt", cache, reported.append)
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == FOLDER
    assert len(server.asked) == n_asked


def test_a_folder_with_other_files_is_refused(server, asked, tmp_path, reported):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(UsageError, match=r"has other files already \(thesis\.tex\); name a new folder"):
        obtain_into(asked(at_address(server, "base.pt", PT)), tmp_path / "mine", "model.pt", tmp_path, reported.append)
    assert server.asked == []
