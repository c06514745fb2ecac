"""Files below a folder and their hashes: each file is read once until its size, time or inode changes."""

import hashlib
import os

import pytest

from k2d.core import hashing
from k2d.core.errors import K2DError
from k2d.core.hashing import files_below, sha256_of, status_of

LONG_AGO = (1_600_000_000, 1_600_000_000)


@pytest.fixture
def reads(monkeypatch):
    """The files that were read, in order."""
    found = []
    read = hashing.read_sha256

    def counted(path):
        found.append(path.name)
        return read(path)

    monkeypatch.setattr(hashing, "read_sha256", counted)
    return found


def sha256(path):
    return sha256_of(path, status_of(path))


def test_a_file_is_read_once_until_it_changes(tmp_path, reads):
    path = tmp_path / "checkpoint"
    path.write_bytes(b"weights")
    os.utime(path, LONG_AGO)
    assert [sha256(path) for _ in range(3)] == [hashlib.sha256(b"weights").hexdigest()] * 3
    assert reads == ["checkpoint"]
    path.write_bytes(b"WEIGHTS")
    assert sha256(path) == hashlib.sha256(b"WEIGHTS").hexdigest()


def test_another_file_of_the_same_name_size_and_time_is_read(tmp_path, reads):
    for content in (b"one", b"two"):
        path = tmp_path / content.decode()
        path.write_bytes(content)
        os.utime(path, LONG_AGO)
    (tmp_path / "one").rename(tmp_path / "name")
    first = sha256(tmp_path / "name")
    (tmp_path / "two").rename(tmp_path / "name")
    assert (first, sha256(tmp_path / "name")) == (
        hashlib.sha256(b"one").hexdigest(),
        hashlib.sha256(b"two").hexdigest(),
    )


def test_a_file_that_was_just_written_is_read_each_time(tmp_path, reads):
    """Its next change could have the same time in the file system's clock."""
    path = tmp_path / "fresh"
    path.write_bytes(b"a")
    same = status_of(path)
    sha256_of(path, same)
    path.write_bytes(b"b")
    os.utime(path, ns=(same.mtime_ns, same.mtime_ns))
    assert sha256(path) == hashlib.sha256(b"b").hexdigest()
    assert reads == ["fresh", "fresh"]


def test_the_list_of_files_has_not_changed(tmp_path):
    """Recursively, without what is hidden; links to files count as files, links to folders are not followed."""
    for name in ("b", "sub/a", ".hidden", ".folder/x", "sub/.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "to_folder").symlink_to("sub")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    found = dict(files_below(tmp_path))
    assert sorted(found) == ["b", "link", "sub/a"]
    assert found["link"] == found["b"] == status_of(tmp_path / "b")
    assert list(files_below(tmp_path / "gone")) == []


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(K2DError, match="cannot be read \\(Permission denied\\); fix its permissions"):
        list(files_below(tmp_path))
