"""A data set on a Hub on this machine: listed at one revision, fetched with checksums, and all possible errors."""

import hashlib
import sys

import pytest
from file_server import serving
from made_cszs import write_cszs
from made_hub import put_on_hub

from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT
from k2d.data.corpus import Card, read_card
from k2d.data.raw import hub
from k2d.data.raw.download_command import download
from k2d.data.raw.hub import HubFiles, listed

REVISION = "0123456789abcdef" * 2 + "01234567"
FILES = {
    "README.md": b"# a card",
    "data/dev-00000-of-00001-a1.parquet": b"dev" * 1000,
    "data/test-00000-of-00002-b2.parquet": b"one" * 1000,
    "data/test-00001-of-00002-c3.parquet": b"two" * 1000,
    "data/train #1.parquet": b"train" * 1000,
}
WANTED = HubFiles("somebody/a.corpus", REVISION, ("data/dev-*", "data/test-*"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    with serving(b"") as served:
        yield served


@pytest.fixture
def endpoint(server):
    return put_on_hub(server, WANTED.dataset, REVISION, FILES)


def card(files=WANTED):
    return Card("made", "A corpus", ("zh",), "MIT", "here", "MADE_ROOT", hub=files)


def test_matching_files_are_listed_with_size_and_checksum(endpoint):
    found = listed(WANTED, endpoint)
    assert [name for name, _ in found] == [name for name in FILES if name.startswith(("data/dev", "data/test"))]
    for name, remote in found:
        assert remote.url == f"{endpoint}/datasets/somebody/a.corpus/resolve/{REVISION}/{name}"
        assert remote.n_bytes == len(FILES[name])
        assert remote.digest == f"sha256:{hashlib.sha256(FILES[name]).hexdigest()}"


def test_files_keep_their_paths_below_the_folder_and_are_fetched_once(server, endpoint, tmp_path, capsys):
    download(card(), tmp_path, endpoint=f"{endpoint}/")
    there = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    assert there == {name: FILES[name] for name in FILES if name.startswith(("data/dev", "data/test"))}
    message = capsys.readouterr().out
    assert "licence: MIT" in message
    assert "3 files, 0.0 GB" in message
    assert f"next: MADE_ROOT={tmp_path} egs/made/run.sh --stage 1 --stop-stage 1" in message
    n_asked = len(server.asked)
    download(card(), tmp_path, endpoint=endpoint)
    assert all("/api/" in asked["path"] for asked in server.asked[n_asked:])


def test_other_files_can_be_selected_also_with_odd_names(endpoint, tmp_path):
    download(card(), tmp_path, ("*.md", "data/train*"), endpoint)
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.suffix in (".md", ".parquet")}
    assert there == {"README.md", "data/train #1.parquet"}


def test_a_file_that_differs_from_the_list_is_refused(server, endpoint, tmp_path):
    server.at[f"/datasets/somebody/a.corpus/resolve/{REVISION}/data/dev-00000-of-00001-a1.parquet"] = b"DEV" * 1000
    with pytest.raises(K2DError, match="it is damaged, or not the file that was published"):
        download(card(), tmp_path, endpoint=endpoint)
    assert list(tmp_path.rglob("*.parquet")) == []


def test_a_pattern_that_matches_nothing_is_reported_with_the_existing_files(endpoint, tmp_path):
    with pytest.raises(
        K2DError, match=r"found no file for data/valid-\*, expected one; there are README\.md, data/dev"
    ):
        download(card(), tmp_path, ("data/dev-*", "data/valid-*"), endpoint)
    assert list(tmp_path.rglob("*.parquet")) == []


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "a\\b"])
def test_a_list_cannot_write_elsewhere(server, tmp_path, name):
    endpoint = put_on_hub(server, WANTED.dataset, REVISION, {"data/dev-1.parquet": b"x", name: b"evil"})
    with pytest.raises(K2DError, match=r"egs/made/corpus\.yaml: download: .*evil|backslash"):
        download(card(), tmp_path / "raw", ("*",), endpoint)
    assert not (tmp_path / "raw").exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b'{"error": "x"}', b"[1, 2]", b"[" * 200_000],
    ids=["", "page", "mapping", "odd", "deep"],
)
def test_a_bad_list_of_files_is_reported(server, endpoint, content):
    server.at = {path: content for path in server.at if "/api/" in path}
    with pytest.raises(K2DError, match="expected a list of files in JSON; is this the Hub"):
        listed(WANTED, endpoint)


@pytest.mark.parametrize(
    ("status", "words"), [(401, "sign in"), (403, "terms may have"), (404, "was moved"), (500, "500")]
)
def test_a_refusal_is_reported_with_a_remedy(server, endpoint, status, words):
    server.status = status
    with pytest.raises(K2DError, match=rf"/api/datasets/somebody/a\.corpus/tree/.*{words}"):
        listed(WANTED, endpoint)


def test_an_endless_list_or_one_on_another_machine_is_not_followed(server, endpoint, monkeypatch):
    monkeypatch.setattr(hub, "MAX_PAGES", 3)
    for path in list(server.links):
        server.links[path] = f'<{path}>; rel="next"'
    with pytest.raises(K2DError, match="more than 3 pages"):
        listed(WANTED, endpoint)
    server.links = dict.fromkeys(server.links, '<http://example.org/list>; rel="next"')
    with pytest.raises(K2DError, match="expected https; nothing else is fetched"):
        listed(WANTED, endpoint)


def test_a_missing_network_is_reported(free_port):
    with pytest.raises(K2DError, match=r"127\.0\.0\.1 cannot be reached .*is there a network here"):
        listed(WANTED, f"http://127.0.0.1:{free_port}")


@pytest.fixture
def free_port():
    with serving(b"") as served:
        return int(served.url.split(":")[2].split("/")[0])


def test_patterns_are_refused_for_a_corpus_that_is_not_on_the_hub(tmp_path):
    with pytest.raises(K2DError, match="made: --files is for corpora on the Hub"):
        download(card(None), tmp_path, ("x",))


@pytest.mark.slow
def test_the_download_command_of_a_recipe_and_its_stage_1(project, server, tmp_path):
    """`HF_ENDPOINT` names a mirror, as for Hugging Face's own tools."""
    wanted = read_card(PROJECT_ROOT / "egs" / "cszs" / "corpus.yaml").hub
    raw = write_cszs(tmp_path / "made")
    files = {str(path.relative_to(raw)): path.read_bytes() for path in sorted(raw.rglob("*.parquet"))}
    endpoint = put_on_hub(server, wanted.dataset, wanted.revision, {"README.md": b"# a card", **files})
    words = (sys.executable, "-m", "egs.cszs.prepare", "--download", str(tmp_path / "raw"))
    done = project.command(*words, HF_ENDPOINT=endpoint, no_proxy="127.0.0.1")
    assert done.returncode == 0, done.stderr
    assert {str(path.relative_to(tmp_path / "raw")) for path in (tmp_path / "raw").rglob("*.parquet")} == set(files)
    stage = ("--corpus", "cszs", "--stage", "1", "--stop-stage", "1", "--nj", "1", "--allow-count-mismatch")
    done = project.run(*stage, CSZS_ROOT=str(tmp_path / "raw"))
    assert done.returncode == 0, done.stderr
    done = project.command(*words, "--files", "nothing*", HF_ENDPOINT=endpoint, no_proxy="127.0.0.1")
    assert done.returncode == 1
    assert "found no file for nothing*" in done.stderr
