"""The files of a corpus's card, fetched from a server on this machine."""

import hashlib
import random

import pytest
from file_server import serving

from k2d.core.errors import K2DError
from k2d.data.corpus import Card, PublicFile, read_card
from k2d.data.raw.download_command import download

CONTENT = random.Random(0).randbytes(30_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with serving(CONTENT) as served:
        yield served


def card(*files):
    return Card("x", "A corpus", ("zh",), "CC0", "https://example.org", "x_ROOT", tuple(files))


def test_the_files_of_a_card_are_fetched_and_the_licence_is_printed(server, tmp_path, capsys):
    one = PublicFile("clips/a 1.bin", server.url, len(CONTENT), SHA256)
    download(card(one), tmp_path / "raw")
    assert (tmp_path / "raw/clips/a 1.bin").read_bytes() == CONTENT
    message = capsys.readouterr().out
    assert "licence: CC0" in message
    assert "clips/a 1.bin: fetched, 30,000 bytes, as published" in message
    assert f"next: x_ROOT={tmp_path / 'raw'} egs/x/run.sh --stage 1 --stop-stage 1" in message


def test_a_card_cannot_write_elsewhere_and_without_files_its_page_is_named(server, tmp_path):
    evil = [PublicFile(name, server.url) for name in ("../a", "/tmp/b", "good")]
    with pytest.raises(K2DError, match=r"(?s)'\.\./a' has '\.\.' in its name.*'/tmp/b' has an absolute name"):
        download(card(*evil), tmp_path / "raw")
    assert not (tmp_path / "raw").exists()
    with pytest.raises(K2DError, match=r"x is not fetched by a command; to get it: https://example\.org"):
        download(card(), tmp_path)


def test_an_unknown_kind_of_checksum_in_a_card_is_refused(tmp_path):
    card = "name: x\ntitle: X\nlanguages: [zh]\nlicence: none\nsource: here\ndownload:\n"
    (tmp_path / "corpus.yaml").write_text(f"{card}- file: a.bin\n  url: https://example.org/a.bin\n  sha512: abc\n")
    with pytest.raises(K2DError) as caught:
        read_card(tmp_path / "corpus.yaml")
    known = "expected one of file, url, size, sha256, md5"
    assert str(caught.value) == f"{tmp_path}/corpus.yaml: download.0.sha512: found an unknown key, {known}"
