"""The cause of a failure, from real outcomes of real workers, and which failures are tried again."""

import doctest
import errno
import os
import signal
from pathlib import Path

import pytest
from troubled import fails_at_first, troubled

from k2d.core import retries
from k2d.core.errors import K2DError
from k2d.core.retries import is_passing, is_passing_outcome, run_each_twice
from k2d.core.workers import run_each
from k2d.data.audio import AudioError, Cause, probe, resolve
from k2d.data.audio.source import from_os_error


def twice(function, items, **how):
    words = {"what": lambda n: f"{n} of {len(items)} toys", "name": str, "nj": 2, **how}
    return list(run_each_twice(function, items, **words))


def test_the_examples_hold():
    assert doctest.testmod(retries).failed == 0


def test_a_real_input_output_error_is_caused_by_the_machine():
    """/proc/self/mem is a regular file. Reading its first byte gives EIO."""
    with pytest.raises(AudioError) as caught:
        probe(resolve("/proc/self/mem"))
    assert str(caught.value) == (
        "/proc/self/mem: cannot be read: Input/output error [unreadable]; check permissions and the disk"
    )
    assert (caught.value.reason, caught.value.cause, is_passing(caught.value)) == ("unreadable", Cause.MACHINE, True)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (errno.EIO, Cause.MACHINE),
        (errno.EACCES, Cause.MACHINE),
        (errno.ESTALE, Cause.MACHINE),
        (errno.ETIMEDOUT, Cause.MACHINE),
        (errno.ENOSPC, Cause.MACHINE),
        (errno.EMFILE, Cause.MACHINE),
        (errno.ENAMETOOLONG, Cause.FILE),
    ],
)
def test_an_error_of_the_system_is_caused_by_the_machine_unless_the_name_is_wrong(code, cause):
    assert from_os_error(OSError(code, os.strerror(code)), resolve("a.wav")).cause is cause


def test_a_missing_file_has_neither_cause_and_damage_is_caused_by_the_file(tmp_path):
    with pytest.raises(AudioError) as caught:
        probe(resolve(str(tmp_path / "nowhere.wav")))
    assert (caught.value.cause, caught.value.is_passing) == (Cause.ABSENCE, True)
    (tmp_path / "web.wav").write_text("<html>")
    with pytest.raises(AudioError) as caught:
        probe(resolve(str(tmp_path / "web.wav")))
    assert (caught.value.cause, caught.value.is_passing) == (Cause.FILE, False)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError(errno.EIO, "x"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
        (KeyError("x"), False),
    ],
)
def test_exceptions_that_are_tried_again(error, passes):
    assert is_passing(error) is passes


def test_a_crash_is_caused_by_the_item_and_a_kill_is_not():
    """Real deaths of workers: 3 crashes as a C library does, 5 raises an error, 8 is killed by SIGKILL."""
    passes = {o.item: is_passing_outcome(o) for o in run_each(troubled, [3, 5, 8, 9], nj=2)}
    assert passes == {3: False, 5: False, 8: True, 9: False}


@pytest.mark.slow
def test_an_item_that_fails_once_is_tried_again(tmp_path):
    items = [(str(tmp_path / name), how) for name, how in (("a", "EIO"), ("b", "SIGKILL"), ("c", "SIGSEGV"), ("d", ""))]
    found = {outcome.item[1]: (outcome.value, outcome.error) for outcome in twice(fails_at_first, items)}
    assert found == {how: (2 if how else 1, "") for _, how in items}


def test_a_bad_item_is_returned_once_with_its_reason():
    outcomes = {o.item: o.error for o in twice(troubled, [3, 4, 5])}
    assert outcomes == {
        3: "the worker process died (signal SIGSEGV)",
        4: "",
        5: "ValueError: five is refused",
    }


def test_an_item_at_which_the_machine_fails_twice_is_named_at_the_end():
    seen = []
    with pytest.raises(K2DError) as caught:
        for outcome in run_each_twice(troubled, [8, 4, 3], nj=1, what=lambda n: f"{n} of 3 toys", name="toy {}".format):
            seen.append(outcome.item)
    assert seen == [4, 3]
    first, named, remedy = str(caught.value).splitlines()
    assert first == "1 of 3 toys could not be read or worked on. The fault is the machine's, not theirs:"
    assert named.startswith("  toy 8: the worker process died (signal SIGKILL)")
    assert remedy == "repair it (disk, mount, permissions, memory) and run the same command again: it tries them again"


def test_if_the_machine_fails_at_everything_only_a_few_items_are_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(retries, "MAX_AGAIN", 3)
    items = [(str(tmp_path / f"{n}"), "EIO") for n in range(6)]
    with pytest.raises(K2DError, match="4 of 6 toys"):
        twice(fails_at_first, items, nj=1)
    assert not any(Path(path).read_text().count("x") > 1 for path, _ in items if Path(path).exists())


def test_every_crash_signal_has_its_name():
    assert all(hasattr(signal, name) for name in retries._CRASHES)
