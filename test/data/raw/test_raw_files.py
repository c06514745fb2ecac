"""Files of a raw corpus are found, or the expected ones are named. An archive in parts is unpacked once."""

import tarfile

import pytest

from k2d.core.errors import K2DError
from k2d.data.raw.files import by_name, only_place, unpacked


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_one_match_is_returned_and_none_or_two_are_reported(tmp_path):
    with pytest.raises(K2DError, match=r"found nothing as \*\*/audio, expected one place with the release"):
        only_place(tmp_path, "**/audio", "the release")
    touch(tmp_path / "a/audio/x")
    assert only_place(tmp_path, "**/audio", "the release") == tmp_path / "a/audio"
    touch(tmp_path / "b/audio/x")
    with pytest.raises(K2DError, match=r"found .*/a/audio, .*/b/audio as"):
        only_place(tmp_path, "**/audio", "the release")


def test_duplicate_names_are_reported_together(tmp_path):
    paths = [touch(tmp_path / name) for name in ("a/x.wav", "b/x.flac", "b/Y.wav", "a/y.wav", "z.wav")]
    assert set(by_name(paths[:1] + paths[2:])) == {"x", "Y", "y", "z"}
    with pytest.raises(K2DError) as caught:
        by_name(paths, any_case=True)
    message = str(caught.value)
    assert "b/x.flac: found another file of the name of " in message
    assert "b/Y.wav: found another file of the name of " in message
    assert "2 files are there twice; keep one of each" in message


def test_an_archive_in_parts_is_unpacked_once_and_again_if_it_changes(tmp_path):
    root, store = tmp_path / "root", tmp_path / "store"
    touch(tmp_path / "corpus/label")
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(tmp_path / "corpus", "corpus")
    content = (tmp_path / "c.tar").read_bytes()
    assert unpacked(root, "*.tar*", store) is None
    root.mkdir()
    (root / "c.tar.part00").write_bytes(content[:700])
    (root / "c.tar.part01").write_bytes(content[700:])
    folder = unpacked(root, "*.tar*", store)
    assert (folder / "corpus/label").read_bytes() == b"x"
    (folder / "corpus/label").write_bytes(b"y")
    assert (unpacked(root, "*.tar*", store) / "corpus/label").read_bytes() == b"y"  # not again
    (root / "c.tar.part01").write_bytes(content[700:] + bytes(10_240))
    assert unpacked(root, "*.tar*", store) != folder


def test_a_truncated_archive_leaves_no_files(tmp_path):
    (tmp_path / "c.tar").write_bytes(b"not an archive")
    with pytest.raises(K2DError):
        unpacked(tmp_path, "*.tar", tmp_path / "store")
    assert list((tmp_path / "store").glob("unpacked-*")) == []


def test_checksums_are_not_archives_and_a_whole_archive_is_preferred_to_its_parts(tmp_path):
    touch(tmp_path / "c.tar.md5")
    assert unpacked(tmp_path, "*.tar*", tmp_path / "store") is None
    for name in ("c.tar.part00", "c.tar.partaa", "c.tar.gz"):
        touch(tmp_path / name)
    touch(tmp_path / "corpus/label")
    with tarfile.open(tmp_path / "c.tar", "w") as archive:
        archive.add(tmp_path / "corpus", "corpus")
    with pytest.raises(K2DError, match=r"found c\.tar, c\.tar\.gz, expected one archive; keep one"):
        unpacked(tmp_path, "*.tar*", tmp_path / "store")
    (tmp_path / "c.tar.gz").unlink()
    assert unpacked(tmp_path, "*.tar*", tmp_path / "store").is_dir()
