"""Files and folders are put in place by processes that are killed or fail between any two system calls."""

import errno
import os

import pytest
from failing_files import Disk, Killed

from k2d.core import atomic, file_calls
from k2d.core.atomic import new_partial_folder, partial_file, partial_folder, publish_folder, restore, write_text

OLD = {"a": "old a", "sub/b": "old b"}
NEW = {"a": "new a, longer", "sub/c": "new c"}
NO_ROOM = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch):
    """Do not wait for the disk: only the calls are counted."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def fill(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def content(folder):
    """The content of a folder. None if it does not exist."""
    if not folder.exists():
        return None
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def run_to(n, tmp_path, work, *, old, **how):
    """Run `work` in a new place and kill it at call `n`. Returns whether it reached that call."""
    place = tmp_path / f"{n}"
    place.mkdir()
    if old:
        fill(place / "out", OLD)
    disk = Disk(n, **how)
    disk.lasts(place)
    try:
        with disk.mounted():
            work(place)
    except Killed:
        return place, disk, True
    return place, disk, False


def publish_new(place):
    partial = new_partial_folder(place / "out")
    fill(partial, NEW)
    publish_folder(partial, place / "out")


def all_stops(tmp_path, work, **how):
    """The state after a kill at each call in turn. The last state is that of an undisturbed run."""
    for n in range(1000):
        place, disk, was_killed = run_to(n, tmp_path, work, **how)
        yield place, disk
        if not was_killed:
            assert n > 3, "a publication takes more calls than that"
            return
    pytest.fail("it never ended")


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("cut", [None, "renames last", "renames are lost"])
@pytest.mark.slow
def test_after_a_kill_anywhere_the_old_or_the_new_folder_is_complete(tmp_path, old, can_exchange, cut):
    for place, disk in all_stops(tmp_path, publish_new, old=old, can_exchange=can_exchange):
        if cut:
            disk.cut_power(place, renames_last=cut == "renames last")
        if old and can_exchange:
            assert content(place / "out") in (OLD, NEW), disk.calls
        was_gone = not (place / "out").exists()
        assert restore(place / "out") == (was_gone and old)
        assert content(place / "out") in ((OLD, NEW) if old else (None, NEW)), disk.calls
        publish_new(place)
        assert content(place / "out") == NEW
        assert [path.name for path in place.iterdir()] == ["out"], disk.calls


def test_without_an_exchange_a_kill_between_the_renames_keeps_the_new_folder(tmp_path):
    """The stage decides whether the finished folder matches the present settings."""
    seen = 0
    for place, _ in all_stops(tmp_path, publish_new, old=True, can_exchange=False):
        if not (place / "out").exists():
            seen += 1
            assert content(partial_folder(place / "out")) == NEW
            assert restore(place / "out")
            assert content(place / "out") == OLD
            assert content(partial_folder(place / "out")) == NEW
    assert seen == 1


@pytest.mark.parametrize("restores_first", [True, False])
def test_recovery_can_be_killed_and_run_again(tmp_path, restores_first):
    def publish_killed(place):
        fill(place / ".out.replaced", OLD)
        fill(place / ".out.partial", NEW)
        if restores_first:
            restore(place / "out")
        publish_new(place)

    for place, disk in all_stops(tmp_path, publish_killed, old=False, can_exchange=False):
        restore(place / "out")
        assert content(place / "out") in (OLD, NEW), disk.calls


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_failure_anywhere_leaves_the_old_or_the_new_folder_in_place(tmp_path, can_exchange):
    for n in range(1000):
        place = tmp_path / f"{n}"
        place.mkdir()
        fill(place / "out", OLD)
        disk = Disk(n, error=NO_ROOM, can_exchange=can_exchange)
        with disk.mounted():
            try:
                publish_new(place)
            except OSError:
                assert content(place / "out") in (OLD, NEW), disk.calls
            else:
                assert content(place / "out") == NEW
        if len(disk.calls) <= n:
            assert n > 5
            return


def test_the_order_is_content_then_name_then_the_folder_that_holds_the_name(tmp_path):
    place, disk, _ = run_to(None, tmp_path, publish_new, old=True, can_exchange=False)
    at = {call: disk.calls.index(call) for call in disk.calls}
    swap = [("rename", ".out.replaced"), ("rename", "out")]
    first = at[swap[0]]
    assert disk.calls[first : first + 3] == [*swap, ("sync", place.name)]
    for name in ("a", "c", "sub", ".out.partial"):
        assert at["sync", name] < first
    assert max(at[call] for call in disk.calls if call[0] == "unlink") > first + 2


# --- single files ---


def write_twice(place):
    write_text(place / "below" / "file", "new, and longer\n" * 3)


@pytest.mark.parametrize("cut", [None, "renames last", "renames are lost"])
def test_after_a_kill_anywhere_the_old_or_the_new_text_is_complete(tmp_path, cut):
    texts = ("old\n", "new, and longer\n" * 3)
    for n in range(1000):
        place = tmp_path / f"{n}"
        fill(place / "below", {"file": texts[0]})
        disk = Disk(n)
        disk.lasts(place)
        with disk.mounted():
            try:
                write_twice(place)
                done = True
            except Killed:
                done = False
        if cut:
            disk.cut_power(place, renames_last=cut == "renames last")
        assert (place / "below" / "file").read_text() in texts, disk.calls
        assert [p.name for p in (place / "below").iterdir() if not p.name.startswith(".")] == ["file"]
        write_twice(place)
        assert (place / "below" / "file").read_text() == texts[1]
        if done:
            assert n > 4
            return


def test_a_full_disk_leaves_the_old_text_and_names_the_file(tmp_path):
    file = tmp_path / "below" / "file"
    file.parent.mkdir()
    for call in ("open_new", "flush", "flush, half of it", "sync_file", "rename"):
        file.write_text("old\n")
        no_room = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with Disk(call, error=no_room).mounted(), pytest.raises(OSError, match=f"No space left on device: '{file}'"):
            write_twice(tmp_path)
        assert file.read_text() == "old\n"
        assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_new_folders_above_a_file_are_synced_into_their_parents(tmp_path):
    with Disk().mounted() as disk:
        write_text(tmp_path / "one" / "two" / "file", "text")
    assert [call for call in disk.calls if call[1] in ("one", "two", tmp_path.name)] == [
        ("make_folder", "one"),
        ("sync", tmp_path.name),
        ("make_folder", "two"),
        ("sync", "one"),
        ("sync", "two"),
    ]


def test_a_file_where_a_folder_is_needed_is_named(tmp_path):
    (tmp_path / "one").write_text("")
    with pytest.raises(OSError, match=f"Not a directory: '{tmp_path}/one'"):
        write_text(tmp_path / "one" / "two" / "file", "text")


# --- the exchange itself ---


def test_two_folders_are_exchanged_if_the_system_supports_it(tmp_path):
    fill(tmp_path / "one", OLD)
    fill(tmp_path / "other", NEW)
    swapped = file_calls.exchange(tmp_path / "one", tmp_path / "other")
    assert (content(tmp_path / "one"), content(tmp_path / "other")) == ((NEW, OLD) if swapped else (OLD, NEW))


def test_an_exchange_that_fails_for_another_reason_is_reported(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError, match=r"one' -> .*nothing"):
        file_calls.exchange(tmp_path / "one", tmp_path / "nothing")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_system_without_an_exchange_is_recognised(tmp_path, monkeypatch, code):
    class Library:
        def __init__(self, *_, **__):
            pass

        def renameat2(self, *_):
            return -1

    monkeypatch.setattr(file_calls.ctypes, "CDLL", Library)
    monkeypatch.setattr(file_calls.ctypes, "get_errno", lambda: code)
    (tmp_path / "one").mkdir()
    assert not file_calls.exchange(tmp_path / "one", tmp_path / "other")
    publish_new(tmp_path)
    publish_new(tmp_path)
    assert content(tmp_path / "out") == NEW


def test_a_link_to_another_folder_is_replaced_and_its_target_stays(tmp_path):
    fill(tmp_path / "elsewhere", OLD)
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    publish_new(tmp_path)
    assert content(tmp_path / "out") == NEW
    assert not (tmp_path / "out").is_symlink()
    assert content(tmp_path / "elsewhere") == OLD


# --- temporary names ---


def test_temporary_names_of_two_hosts_and_two_threads_with_one_pid_differ(tmp_path, monkeypatch):
    path = tmp_path / "counts.json"
    mine = partial_file(path)
    assert mine != partial_file(path)
    assert mine.name.startswith(f".counts.json.{os.uname().nodename}.{os.getpid()}.")
    assert mine.name.endswith(".partial")
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda n: "0" * 2 * n)
    here = partial_file(path)
    monkeypatch.setattr(atomic.os, "uname", lambda: os.uname_result(("Linux", "another-host", "", "", "")))
    assert here != partial_file(path)


def test_the_longest_possible_name_can_be_written(tmp_path):
    path = tmp_path / ("課" * 84 + "abc")  # 255 bytes
    write_text(path, "text")
    assert path.read_text() == "text"
