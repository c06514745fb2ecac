"""Workers that may die: each item gets an outcome, whatever happens to its process."""

import os
import subprocess
import sys
import textwrap
import time

import pytest
from troubled import process_id, square, troubled, unpicklable

from k2d.core.layout import PROJECT_ROOT
from k2d.core.workers import run_each


@pytest.mark.parametrize("nj", [1, 2, 5])
def test_every_item_comes_back_once(nj):
    outcomes = list(run_each(square, range(4), nj=nj))
    assert sorted((o.item, o.value, o.error) for o in outcomes) == [(0, 0, ""), (1, 1, ""), (2, 4, ""), (3, 9, "")]


@pytest.mark.slow
def test_crash_exception_and_hang_cost_one_item_each():
    outcomes = {o.item: o for o in run_each(troubled, range(2, 10), nj=2, limit_s=3)}
    assert sorted(outcomes) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert {n: o.value for n, o in outcomes.items() if not o.error} == {n: n * n for n in (2, 4, 6, 9)}
    assert outcomes[3].error == "the worker process died (signal SIGSEGV)"
    assert outcomes[5].error == "ValueError: five is refused"
    assert isinstance(outcomes[5].exception, ValueError)
    assert outcomes[7].error == "took longer than 3 s and was stopped"
    assert outcomes[8].error.startswith("the worker process died (signal SIGKILL)")


@pytest.mark.slow
def test_fresh_gives_every_item_its_own_process_and_otherwise_one_serves_many():
    assert len({o.value for o in run_each(process_id, range(3), nj=1, fresh=True)}) == 3
    assert len({o.value for o in run_each(process_id, range(3), nj=1)}) == 1


def test_a_result_that_cannot_be_pickled_is_an_error_of_its_item():
    (outcome,) = run_each(unpicklable, [1], nj=1)
    assert "cannot be sent back" in outcome.error


def test_items_are_read_only_as_workers_become_free():
    started = []

    def items():
        for n in range(100):
            started.append(n)
            yield n

    outcomes = run_each(square, items(), nj=2)
    next(outcomes)
    assert len(started) <= 4
    outcomes.close()


def test_workers_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent("""
            import os, sys, time
            from k2d.core.workers import run_each
            def report(n):
                print(os.getpid(), flush=True)
                time.sleep(n)
            if __name__ == "__main__":
                list(run_each(report, [0.5, 0.5, 0.5], nj=1))
        """)
    )
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_ROOT)}
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        if os.path.exists(f"/proc/{worker}/stat") and " Z " in open(f"/proc/{worker}/stat").read():  # noqa: PTH110, PTH123, SIM115
            return
        time.sleep(0.1)
    pytest.fail("the worker outlived its parent")
