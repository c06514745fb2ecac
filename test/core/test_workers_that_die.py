"""Workers die, do not start, or get items that cannot be pickled: nothing waits for ever."""

import errno
import os
from functools import cache
from multiprocessing.context import SpawnProcess

import pytest
from dying import Unreadable, Unsendable, die, die_at_seat
from hanging import within
from not_for_workers import echo

from k2d.core.errors import K2DError
from k2d.core.worker_pool import WorkerPool
from k2d.core.workers import run_each

LIMIT_S = 120

KILLED = "the worker process died (signal SIGKILL); the system does that if memory runs out: use fewer processes"
WAYS = {
    "memory": ("MemoryError", True),
    "SIGKILL": (f"{KILLED} (--nj)", False),
    "SIGSEGV": ("the worker process died (signal SIGSEGV)", False),
    "crash": ("the worker process died (signal SIGSEGV)", False),
    "SIGTERM": ("the worker process died (signal SIGTERM)", False),
    "signal 36": ("the worker process died (signal 36)", False),
    "sys.exit": ("SystemExit: 3", True),
    "sys.exit words": ("SystemExit: enough", True),
    "os._exit": ("the worker process died (exit code 7)", False),
    "closed pipe": ("the worker process died (exit code 1)", False),
    "lambda": ("the result cannot be sent back: ", True),
    "unreadable": ("the result cannot be read: ValueError: invalid literal for int() with base 10: 'no number'", True),
    "not restored": ("dying.NotRestored: the cellar: too dark", True),
}


def by_run_each(items):
    return list(run_each(die, items, nj=1))


def by_crew(items):
    crew = WorkerPool(die_at_seat, ["left"])
    return [*crew.map(items), *crew.map(["afterwards"])]


@cache
def outcomes_of_all_ways(call):
    """What becomes of an item for each way to die, with another between two of them; by item."""
    items = ["before", *(item for how in WAYS for item in (how, f"after {how}"))]
    return {o.item: o for o in within(LIMIT_S, lambda: call(items))}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("call", [by_run_each, by_crew])
@pytest.mark.slow
def test_a_death_costs_only_its_item_and_is_reported(how, call):
    outcomes = outcomes_of_all_ways(call)
    message, answered = WAYS[how]
    assert outcomes[how].error.startswith(message)
    assert outcomes[how].answered is answered
    assert outcomes[how].value is None
    others = {item: outcome.value for item, outcome in outcomes.items() if item not in WAYS}
    assert {"before", f"after {how}"} <= set(others)
    assert ("afterwards" in others) == (call is by_crew)
    assert others == {item: item for item in others}


def test_an_exception_is_returned_or_its_text_if_it_cannot_be_pickled():
    outcomes = {o.item: o for o in within(LIMIT_S, lambda: by_run_each(["memory", "not restored"]))}
    assert isinstance(outcomes["memory"].exception, MemoryError)
    assert outcomes["not restored"].exception is None


@pytest.mark.parametrize("call", [by_run_each, by_crew])
def test_an_item_that_cannot_be_pickled_is_reported_and_the_others_continue(call):
    unsendable, unreadable = Unsendable(), Unreadable()
    outcomes = within(LIMIT_S, lambda: call(["before", unsendable, "between", unreadable, "after"]))
    errors = {o.item: o.error for o in outcomes if o.error}
    assert set(errors) == {unsendable, unreadable}
    name = "dying.die_at_seat" if call is by_crew else "dying.die"
    assert errors[unsendable].startswith(f"an item cannot be sent to a worker of {name}: TypeError: this stays here; ")
    assert "Unsendable(xxx" in errors[unsendable]
    assert len(errors[unsendable]) < 500
    assert errors[unreadable].startswith("the item cannot be read in the worker: ValueError: invalid literal")
    assert {o.value for o in outcomes if not o.error} >= {"before", "between", "after"}


def test_a_function_that_a_worker_cannot_import_is_named_at_once():
    for call in (lambda: list(run_each(echo, range(50), nj=2)), lambda: list(WorkerPool(echo, ["left"]).map("ab"))):
        with pytest.raises(K2DError, match=r"workers of not_for_workers.echo cannot start: .*No module named"):
            within(LIMIT_S, call)


def test_a_function_without_a_module_is_refused():
    with pytest.raises(TypeError, match="expected a function of a module"):
        within(LIMIT_S, lambda: list(run_each(lambda n: n, [1], nj=1)))


@pytest.fixture
def refused(monkeypatch):
    """Let the given tries to start a process fail, as they do at the system's limit of processes."""
    start, tries = SpawnProcess.start, []

    def refuse(numbers):
        def try_to_start(process):
            tries.append(None)
            if len(tries) - 1 in numbers:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            start(process)

        monkeypatch.setattr(SpawnProcess, "start", try_to_start)
        return tries

    return refuse


@pytest.mark.parametrize("call", [by_run_each, by_crew])
@pytest.mark.slow
def test_if_no_worker_can_be_started_the_work_ends_with_a_remedy(refused, call):
    tries = refused(range(1_000_000))
    with pytest.raises(K2DError) as caught:
        within(LIMIT_S, lambda: call(["first", "second"]))
    assert len(tries) == 3, "it neither gives up at once nor spins"
    message = str(caught.value)
    name = "dying.die_at_seat" if call is by_crew else "dying.die"
    assert f"workers of {name} cannot start: Resource temporarily unavailable" in message
    assert "first" in message, "what waited for it"
    assert "fewer processes (--nj)" in message
    assert "ulimit -u" in message


@pytest.mark.slow
def test_a_worker_that_starts_at_the_third_try_does_all_the_work(refused):
    refused({0, 1})
    assert [(o.value, o.error) for o in within(LIMIT_S, lambda: by_run_each(["a", "b"]))] == [("a", ""), ("b", "")]


def test_the_workers_that_could_be_started_do_all_the_work(refused):
    refused(range(1, 1_000_000))
    outcomes = within(LIMIT_S, lambda: list(run_each(die, range(20), nj=4)))
    assert sorted((o.item, o.value, o.error) for o in outcomes) == [(n, n, "") for n in range(20)]


@pytest.mark.slow
def test_a_worker_that_dies_before_it_is_ready_does_not_cost_the_item(tmp_path):
    """For example, a script without `if __name__ == "__main__"`, which each worker would run again."""
    import subprocess
    import sys

    from k2d.core.layout import PROJECT_ROOT

    script = tmp_path / "script.py"
    script.write_text("from k2d.core.workers import run_each\nprint(list(run_each(len, ['abc'], nj=1)))\n")
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 1
    assert "K2DError: workers of builtins.len cannot start: the process died before it was ready (exit code 1)" in (
        done.stderr
    )
