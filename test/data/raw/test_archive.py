"""Archives from others: good ones are unpacked completely, and nothing of a hostile one is written anywhere."""

import gzip
import io
import os
import tarfile
import zipfile

import pytest

from k2d.core.errors import K2DError
from k2d.data.raw.archive import Limits, check, extract

CONTENT = {"set/a.txt": b"one", "set/clips/課 1.mp3": b"two" * 1000, "set/empty": b""}


def entry(name, content=b"x", kind=tarfile.REGTYPE, link=""):
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content) if kind == tarfile.REGTYPE else 0, kind, link
    info.mode = 0o6777  # a set-user-id bit is nothing that we keep
    return info, content


def tar_of(path, entries, mode="w"):
    with tarfile.open(path, mode) as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return path


def zip_of(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in content.items():
            file.writestr(name, value)
    return path


def found(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def place(tmp_path):
    """A folder that must contain only `archive`, whatever is unpacked to its `out/here`."""
    (tmp_path / "inner").mkdir()
    return tmp_path / "inner"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_of_any_compression_is_unpacked_by_its_content(place, mode):
    entries = [entry("./", kind=tarfile.DIRTYPE), *(entry(f"./{name}", value) for name, value in CONTENT.items())]
    archive = tar_of(place / "a.dat", entries, mode)
    assert extract(archive, place / "out" / "here") == 3
    assert found(place / "out" / "here") == CONTENT
    assert not os.access(place / "out/here/set/a.txt", os.X_OK)
    assert (place / "out/here/set/a.txt").stat().st_mode & 0o7000 == 0


def test_a_zip_is_unpacked(place):
    assert extract(zip_of(place / "a.zip", CONTENT), place / "out") == 3
    assert found(place / "out") == CONTENT


def test_an_archive_in_parts_is_unpacked_from_all_parts(place):
    whole = tar_of(place / "a.tar.gz", [entry(n, os.urandom(5000)) for n in "abcd"], "w:gz").read_bytes()
    parts = [place / f"a.tar.gz0{n}" for n in range(3)]
    for n, part in enumerate(parts):
        part.write_bytes(whole[n * 7000 : (n + 1) * 7000])
    assert extract(parts, place / "parts") == 4
    extract(place / "a.tar.gz", place / "whole")
    assert found(place / "parts") == found(place / "whole")
    with pytest.raises(K2DError, match=r"a\.tar\.gz00 and 1 parts more: is damaged, cut off"):
        extract(parts[:2], place / "two")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry("/tmp/evil"), "'/tmp/evil' has an absolute name"),
        (entry("set/../../evil"), "'set/../../evil' has '..' in its name"),
        (entry("C:/evil"), "'C:/evil' has an absolute name"),
        (entry("..\\evil"), "has a backslash in its name"),
        (entry("set/link", kind=tarfile.SYMTYPE, link="/etc/passwd"), "'set/link' is a link to '/etc/passwd'"),
        (entry("set/hard", kind=tarfile.LNKTYPE, link="../evil"), "'set/hard' is a link to '../evil'"),
        (entry("set/null", kind=tarfile.CHRTYPE), "'set/null' is neither a file nor a folder (a device, perhaps)"),
        (entry("set/pipe", kind=tarfile.FIFOTYPE), "'set/pipe' is neither a file nor a folder"),
        (entry("set/a\nb"), "has an empty name, or a control character in it"),
        (entry("set/" + "x" * 300), "has a name of more than 255 bytes"),
        (entry("./set//good"), "'set/good' is there twice"),
        (entry("set/good/inner"), "'set/good' is a file and a folder"),
    ],
)
def test_nothing_of_a_hostile_tar_is_written(place, bad, message):
    archive = tar_of(place / "a.tar", [entry("set/good"), bad, entry("set/other")])
    before = found(place.parent)
    with pytest.raises(K2DError) as caught:
        extract(archive, place / "out" / "here")
    assert message in str(caught.value)
    assert "nothing of it was unpacked" in str(caught.value)
    assert found(place.parent) == before
    assert not (place / "out").exists()


def test_all_faults_are_reported_together_and_many_are_counted(place):
    evil = [entry(f"../{n}") for n in range(30)]
    archive = tar_of(place / "a.tar", [entry("set/good"), *evil, entry("s", kind=tarfile.SYMTYPE, link="x")])
    with pytest.raises(K2DError) as caught:
        check(archive)
    lines = str(caught.value).splitlines()
    assert len(lines) == 13
    assert lines[1] == "  '../0' has '..' in its name"
    assert lines[11] == "  … and 21 more"


def test_bombs_are_refused_before_they_are_unpacked(place):
    bomb = place / "bomb.tar.gz"
    with gzip.open(bomb, "wb", compresslevel=9) as file:  # a header that promises 10 GB; none of it need be read
        info = tarfile.TarInfo("zeros")
        info.size = 10_000_000_000
        file.write(info.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(K2DError, match=r"it unpacks to more than 268,435,456 bytes"):
        extract(bomb, place / "out")
    zipped = zip_of(place / "bomb.zip", {"zeros": bytes(3_000_000)})
    limits = Limits(always_bytes=1_000_000)
    assert zipped.stat().st_size < 10_000
    with pytest.raises(K2DError, match=r"it unpacks to more than 1,000,000 bytes"):
        extract(zipped, place / "out", limits)
    with pytest.raises(K2DError, match="it has more than 2 members"):
        extract(zip_of(place / "many.zip", CONTENT), place / "out", Limits(members=2))
    assert not (place / "out").exists()


def test_a_name_of_gigabytes_is_not_read_into_memory(place):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4_000_000_000
    (place / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(K2DError, match=r"a header of 4,000,000,\d+ bytes"):
        check(place / "a.tar")


def test_a_negative_size_causes_no_endless_loop(place):
    info = tarfile.TarInfo("back")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + (-1024).to_bytes(2, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (place / "a.tar").write_bytes(bytes(header) + bytes(2048))
    with pytest.raises(K2DError, match="is damaged"):
        check(place / "a.tar")


def test_a_zip_with_links_outside_paths_or_passwords_is_refused(place):
    archive = place / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../evil", "x")
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
        file.writestr("good", "x")
    with pytest.raises(K2DError, match=r"(?s)'\.\./evil' has '\.\.' in its name.*'link' is a link"):
        extract(archive, place / "out")
    locked = bytearray(zip_of(place / "b.zip", {"a": b"secret"}).read_bytes())
    at = locked.index(b"PK\x01\x02")
    locked[at + 8] |= 1
    (place / "b.zip").write_bytes(bytes(locked))
    with pytest.raises(K2DError, match="'a' is encrypted"):
        extract(place / "b.zip", place / "out")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_cut_off_anywhere_leaves_nothing(place, mode):
    whole = tar_of(place / "a.tar", [entry(n, os.urandom(2000)) for n in "ab"], mode).read_bytes()
    n_needed = 2 * (512 + 2048) if mode == "w" else len(whole)  # what follows is the end mark, and padding
    for n_bytes in [1, 100, 512, 2560, 3000, 3072, n_needed - 1]:
        (place / "cut").write_bytes(whole[:n_bytes])
        with pytest.raises(K2DError, match="damaged, cut off"):
            extract(place / "cut", place / "out")
        assert sorted(p.name for p in place.iterdir()) == ["a.tar", "cut"]


def test_a_damaged_header_is_not_the_end(place):
    whole = bytearray(tar_of(place / "a.tar", [entry(n) for n in "abc"]).read_bytes())
    whole[1024 + 148] ^= 1
    (place / "a.tar").write_bytes(bytes(whole))
    with pytest.raises(K2DError, match="it has no end mark"):
        check(place / "a.tar")


def test_a_changed_byte_in_a_zip_is_found_by_its_checksum(place):
    path = place / "a.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a", b"plain words")
    path.write_bytes(path.read_bytes().replace(b"plain", b"other"))
    with pytest.raises(K2DError, match=r"damaged.*CRC"):
        extract(path, place / "out")
    assert not (place / "out").exists()


@pytest.mark.parametrize("content", [b"", b"<html>", bytes(10240), b"PK\x03\x04 and no more"])
def test_a_file_that_is_not_an_archive_is_reported(place, content):
    (place / "a.tar.gz").write_bytes(content)
    with pytest.raises(K2DError, match=r"a\.tar\.gz: (is damaged, cut off, or no tar|nothing of it was unpacked)"):
        check(place / "a.tar.gz")


def test_an_existing_folder_is_not_changed(place):
    (place / "out").mkdir()
    (place / "out" / "mine").write_text("mine")
    with pytest.raises(K2DError, match="is there already"):
        extract(zip_of(place / "a.zip", CONTENT), place / "out")
    with pytest.raises(K2DError, match="no such archive"):
        extract(place / "nothing.zip", place / "other")
    assert found(place / "out") == {"mine": b"mine"}


def test_a_disk_that_is_too_small_is_reported_before_anything_is_written(place, monkeypatch):
    archive = zip_of(place / "a.zip", CONTENT)
    monkeypatch.setattr("shutil.disk_usage", lambda _: os.terminal_size((0, 0)) and type("U", (), {"free": 100})())
    with pytest.raises(K2DError, match="3,003 bytes are needed, 100 are free"):
        extract(archive, place / "out")
    assert not (place / "out").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/" * 3_000 + "x", "has a path of more than 2,048 bytes"),
        ("a/" * 900 + "x", "lies more than 100 folders deep"),
        ("/".join(["b" * 200] * 11), "has a path of more than 2,048 bytes"),
    ],
    ids=["3,000 deep", "900 deep", "long"],
)
def test_an_impossible_path_is_a_fault_of_its_member(place, name, message):
    for archive in (tar_of(place / "a.tar", [entry("good"), entry(name)]), zip_of(place / "a.zip", {name: b"x"})):
        with pytest.raises(K2DError, match=f"nothing of it was unpacked, because\n  .*{message}"):
            extract(archive, place / "out")
        assert not (place / "out").exists()


def test_a_hundred_folders_are_unpacked(place):
    assert extract(tar_of(place / "a.tar", [entry("a/" * 100 + "x")]), place / "out") == 1


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("n_bytes", [10, 3_000_000])
@pytest.mark.slow
def test_two_tar_archives_joined_are_refused(place, mode, n_bytes):
    """The second one would be ignored without an error."""
    parts = [tar_of(place / name, [entry(name, os.urandom(n_bytes))], mode).read_bytes() for name in "ab"]
    (place / "joined").write_bytes(b"".join(parts))
    with pytest.raises(K2DError, match="it goes on after its end mark: are two archives put together"):
        extract(place / "joined", place / "out")
    assert not (place / "out").exists()


def test_zeros_after_the_end_mark_of_a_tar_are_its_padding(place):
    archive = tar_of(place / "a.tar", [entry("a")])
    archive.write_bytes(archive.read_bytes() + bytes(50_000))
    assert extract(archive, place / "out") == 1


def test_bytes_before_or_after_a_zip_are_refused(place):
    one, two = (zip_of(place / name, {name: b"x"}).read_bytes() for name in "ab")
    for content in (one + two, one + b"more", one + tar_of(place / "c", [entry("c")]).read_bytes()):
        (place / "joined").write_bytes(content)
        with pytest.raises(K2DError, match="are two archives put together"):
            extract(place / "joined", place / "out")
    with zipfile.ZipFile(place / "a", "a") as file:
        file.comment = b"a remark"
    assert extract(place / "a", place / "out") == 1
