"""A stage is killed while it puts its folder in place. The next run finds the old folder or the new one."""

import json

import pytest
from failing_files import Disk, Killed

from k2d.config import load_config
from k2d.core.atomic import partial_folder
from k2d.core.layout import PROJECT_ROOT, Layout
from k2d.core.lock import holding
from k2d.core.stamp import read_stamp
from k2d.pipeline import recovery
from k2d.pipeline.job import Counts, Job, Settings, Unit
from k2d.pipeline.recovery import recover
from k2d.pipeline.runner import run_stage

CONFIG = load_config(PROJECT_ROOT / "conf" / "mini.yaml")


class Toy:
    """A stage that writes its setting into a file, and counts how often."""

    VERSION, number, verb, reads, writes = 1, 0, "toy", "nothing", "toys/a"

    def __init__(self, exp):
        self.exp, self.setting, self.n_made = exp, "old", 0

    def load(self):
        return self

    def units(self, job):
        return [Unit(self.exp / "toys" / "a", Settings({"is": self.setting}))]

    def make(self, unit, job, folder):
        self.n_made += 1
        (folder / "result").write_text(unit.settings["is"])
        return Counts(1, 1)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)


def places(folder):
    made = Layout(folder / "data", folder / "exp")
    made.data.mkdir(parents=True)
    made.exp.mkdir()
    return made


def run(toy, where, disk):
    """Run the stage: the recovery, then its units. Returns whether it was killed."""
    job = Job(CONFIG, where, force=True)
    try:
        with disk.mounted():
            recover(where)
            run_stage(toy, job)
    except Killed:
        return True
    return False


def result(where):
    folder = where.exp / "toys" / "a"
    if not folder.exists():
        return None
    assert read_stamp(folder).recipe.settings["is"] == (folder / "result").read_text()
    return (folder / "result").read_text()


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.slow
def test_after_a_kill_anywhere_a_folder_exists_and_a_rerun_makes_the_new_one(tmp_path, is_there, can_exchange):
    n_adopted = 0
    for n in range(1000):
        where = places(tmp_path / f"{n}")
        toy = Toy(where.exp)
        if is_there:
            run(toy, where, Disk())
        toy.setting = "new"
        was_killed = run(toy, where, Disk(n, can_exchange=can_exchange))
        recover(where)  # as the next stage does, which only reads this folder
        found = result(where)
        assert found in (("old", "new") if is_there else (None, "new"))
        was_finished = (partial_folder(where.exp / "toys" / "a") / "stamp.json").exists() and found != "new"
        n_adopted += was_finished
        toy.n_made = 0
        run(toy, where, Disk(can_exchange=can_exchange))
        assert result(where) == "new"
        assert toy.n_made == (0 if found == "new" or was_finished else 1), "what was finished is not made again"
        left = [p.name for p in (where.exp / "toys").iterdir() if not p.name.endswith(".lock")]
        assert left == ["a"] or found == "new"
        if not was_killed:
            assert n > 8
            assert n_adopted > 0
            return


def finished_and_unpublished(tmp_path, setting):
    """An old folder, and beside it a new one with a stamp, whose run was killed before it was put in place."""
    where = places(tmp_path)
    toy = Toy(where.exp)
    run(toy, where, Disk())
    toy.setting = setting
    assert run(toy, where, Disk("exchange"))
    assert read_stamp(partial_folder(where.exp / "toys" / "a")) is not None
    return where, toy


def test_a_finished_folder_of_other_settings_is_not_used(tmp_path):
    where, toy = finished_and_unpublished(tmp_path, "new")
    toy.setting = "newer"
    run(toy, where, Disk())
    assert result(where) == "newer"


@pytest.mark.parametrize("damage", ["zeros", "a file more", "no content", "broken stamp"])
def test_a_finished_folder_that_a_power_cut_damaged_is_not_used(tmp_path, damage):
    where, toy = finished_and_unpublished(tmp_path, "new")
    partial = partial_folder(where.exp / "toys" / "a")
    status = (partial / "result").stat()
    if damage == "zeros":  # the size and the time are as they were
        (partial / "result").write_bytes(bytes(status.st_size))
        stamp = json.loads((partial / "stamp.json").read_text())
        stamp["files"]["result"]["mtime_ns"] = (partial / "result").stat().st_mtime_ns
        (partial / "stamp.json").write_text(json.dumps(stamp))
    elif damage == "a file more":
        (partial / "more").write_text("")
    elif damage == "no content":
        (partial / "result").write_text("")
    else:
        (partial / "stamp.json").write_bytes(bytes(100))
    toy.n_made = 0
    run(toy, where, Disk())
    assert (result(where), toy.n_made) == ("new", 1)


def test_folders_that_were_moved_aside_are_restored_and_reported(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(recovery.log, "propagate", True)
    where = places(tmp_path)
    opinions = where.exp / "opinions" / "base" / "mini" / "lectures"
    for final in (where.data / "mini", opinions, where.exp / "cache" / "pool"):
        former = final.with_name(f".{final.name}.replaced")
        former.mkdir(parents=True)
        (former / "kept").write_text("kept")
    (where.exp / "models" / "a").mkdir(parents=True)
    (where.exp / "models" / ".a.replaced").mkdir()
    recover(where)
    assert (where.data / "mini" / "kept").exists()
    assert (opinions / "kept").exists()
    assert (where.exp / "cache" / "pool" / "kept").exists()
    assert not (where.exp / "models" / ".a.replaced").exists()
    assert "lectures: moved back; the run that was replacing it was killed" in caplog.text


def test_a_corpus_that_another_run_is_replacing_is_not_touched(tmp_path):
    where = places(tmp_path)
    (where.data / ".mini.replaced").mkdir()
    with holding(where.data / "mini"):
        recover(where)
        assert not (where.data / "mini").exists()
    recover(where)
    assert (where.data / "mini").exists()
