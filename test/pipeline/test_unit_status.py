"""The status of a unit: done, to do, made with other settings, or unreadable."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from toy_road import toy_road

from k2d.core import hashing, stamp
from k2d.core.errors import K2DError
from k2d.pipeline.job import Settings, Unit
from k2d.pipeline.listing import progress_of
from k2d.pipeline.stage_list import BY_VERB
from k2d.pipeline.unit_status import check_writable
from k2d.pipeline.upstream import Upstream


@pytest.fixture
def road(tmp_path, monkeypatch):
    return toy_road(tmp_path, monkeypatch)


def listed(road, verb, *overrides, **more):
    job = road.job(*overrides, **more)
    return progress_of(BY_VERB[verb], job, Upstream(job))


# --- a stamp that cannot be read ---


@pytest.mark.parametrize("content", [b"", b"\x00" * 900, b'{"recipe": {"stage": "sel'])
def test_an_unreadable_stamp_is_refused_and_force_makes_the_folder_again(road, content):
    road.run()
    whole = (road.exp / "select" / "a" / "stamp.json").read_bytes()
    (road.exp / "select" / "a" / "stamp.json").write_bytes(content)

    with pytest.raises(K2DError, match=r"select/a\n    its stamp cannot be read \(.+\)\nrun it with --force"):
        road.run("select")
    assert "differs" in listed(road, "select")
    assert "its stamp cannot be read" in listed(road, "select")
    assert "differs" in listed(road, "distill")  # it reads below that stamp

    assert road.run("select", force=True) == ["a"]
    remade = json.loads((road.exp / "select" / "a" / "stamp.json").read_bytes())
    assert remade["recipe"] == json.loads(whole)["recipe"]
    assert road.run() == []  # what was made from it is as it was


def test_a_folder_with_an_unreadable_stamp_is_not_reused(road):
    road.run("second_opinion", "select")
    (road.exp / "select" / "a" / "stamp.json").write_bytes(bytes(500))
    other = ("name=y", f"reuse={road.exp}")
    assert road.run("second_opinion", "select", overrides=other) == ["a"]


# --- what is hashed, and how often ---


@pytest.fixture
def reads(monkeypatch):
    """The files that are read for their hash."""
    found = []
    read = hashing.read_sha256
    monkeypatch.setattr(hashing, "read_sha256", lambda path: (found.append(path), read(path))[1])
    return found


@pytest.fixture
def listings(monkeypatch):
    """The folders whose files are listed."""
    found = []
    look = stamp.files_below
    monkeypatch.setattr(stamp, "files_below", lambda folder: (found.append(folder), look(folder))[1])
    return found


def test_a_finished_experiment_is_listed_and_run_again_without_reading_its_files(road, reads):
    road.run()
    del reads[:]
    assert road.run() == []
    assert all(listed(road, verb).startswith("done") for verb in road.stages)
    assert reads == []


def test_verify_reads_all_outputs(road, reads):
    road.run()
    everything = {path for path in road.exp.rglob("*") if path.name in ("text", "notes")}
    del reads[:]
    assert road.run(verify=True) == []
    assert set(reads) == everything


def test_verify_finds_changes_without_a_new_size_or_time(road):
    road.run()
    path = road.exp / "opinions" / "text"
    before = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before, before))
    assert road.run() == []
    assert listed(road, "second_opinion", verify=True).endswith("text was edited")
    with pytest.raises(K2DError, match="opinions\n    text was edited"):
        road.run("second_opinion", verify=True)


def test_an_input_without_a_stamp_is_read_once_by_a_process(road, reads):
    checkpoint = road.root / "checkpoint"
    checkpoint.write_bytes(b"weights")
    os.utime(checkpoint, (1_600_000_000, 1_600_000_000))
    road.stages["second_opinion"].units = lambda job: [
        Unit(job.layout.exp / "opinions" / name, Settings({}), (checkpoint,)) for name in "abc"
    ]
    road.run("second_opinion")
    assert reads.count(checkpoint) == 1


def test_a_folder_that_several_units_read_is_listed_once_while_nothing_is_made(road, listings):
    road.run("second_opinion", "select")
    assert listings.count(road.exp / "opinions") == 2  # before each of the two units was made
    del listings[:]
    road.run("select")
    assert listings.count(road.exp / "opinions") == 1


def test_a_unit_that_reads_another_units_output_is_made_from_the_new_one(road):
    def units(job):
        first = Unit(job.layout.exp / "first", Settings({"alpha": job.config.select.alpha}))
        return [first, Unit(job.layout.exp / "second", Settings({}), (first.output,))]

    road.stages["select"].units = units
    road.run("select")
    assert road.run("select", overrides=("select.alpha=0.2",), force=True) == ["first", "second"]
    assert road.run("select", overrides=("select.alpha=0.2",)) == []


# --- whether a folder can be written ---


def test_probing_a_folder_changes_nothing(tmp_path):
    theirs = tmp_path / ".writable"
    theirs.write_text("another experiment's probe")
    check_writable(tmp_path / "data")
    check_writable(tmp_path)
    assert theirs.read_text() == "another experiment's probe"
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".writable", "data"]


def test_several_processes_can_probe_one_folder(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(check_writable, [tmp_path] * 800)) == [None] * 800
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(K2DError, match=r"file/data: cannot be written \(Not a directory\); fix its permissions"):
        check_writable(tmp_path / "file" / "data")
