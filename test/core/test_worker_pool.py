"""Workers that are kept from one piece of work to the next."""

from seated import at_seat

from k2d.core.worker_pool import WorkerPool


def test_the_processes_stay_and_a_dead_one_is_replaced():
    crew = WorkerPool(at_seat, ["left", "right"])
    first = list(crew.map(["a", "b", "c", "d"]))
    assert sorted(o.item for o in first) == ["a", "b", "c", "d"]
    processes = {o.value for o in first}
    assert {seat for seat, _ in processes} <= {"left", "right"}
    assert {o.value for o in crew.map(["e", "f", "g", "h"])} <= processes | {o.value for o in crew.map(["i", "j"])}

    troubled = {o.item: o for o in crew.map(["die", "raise", "k"])}
    assert "signal SIGKILL" in troubled["die"].error
    assert troubled["raise"].error == "ValueError: refused"
    assert troubled["k"].value is not None
    assert all(not o.error for o in crew.map("lmno"))


def test_results_of_abandoned_work_are_not_returned_to_the_next():
    crew = WorkerPool(at_seat, ["only"])
    work = crew.map(["a", "b", "c"])
    assert next(work).item == "a"
    work.close()
    assert [o.item for o in crew.map(["d"])] == ["d"]
