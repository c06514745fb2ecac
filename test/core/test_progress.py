"""Progress with the time left, on a terminal and without one."""

import io

import pytest

from k2d.core import progress
from k2d.core.progress import Progress, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that tests set forward."""

    class Clock:
        now_s = 0.0

        def passes(self, seconds: float) -> None:
            self.now_s += seconds

    made = Clock()
    monkeypatch.setattr(progress.time, "monotonic", lambda: made.now_s)
    return made


def test_a_line_has_the_share_done_and_the_time_left(clock):
    bar = Progress("decoding", 200, "windows", stream=io.StringIO())
    clock.passes(30)
    bar.update(50)
    assert bar.status() == "50 of 200 windows (25 %), 30 s gone, 1 min 30 s left"
    clock.passes(90)
    bar.update(150)
    assert bar.status() == "200 of 200 windows (100 %), 2 min 0 s gone, 0 s left"


def test_without_a_total_there_is_no_time_left(clock):
    bar = Progress("reading", None, "lines", stream=io.StringIO())
    clock.passes(5)
    bar.update(1234)
    assert bar.status() == "1,234 lines in 5 s"


def test_work_of_earlier_runs_counts_for_the_share_but_not_for_the_speed(clock):
    """100 minutes of audio, 40 done before. After five minutes of loading, 10 take one minute, so 50 take five."""
    bar = Progress("decoding", 100, "min", stream=io.StringIO(), done=40)
    clock.passes(300)
    assert bar.status() == "40 of 100 min (40 %), 5 min 0 s gone, ? left"
    bar.begin()
    clock.passes(60)
    bar.update(10)
    assert bar.status() == "50 of 100 min (50 %), 6 min 0 s gone, 5 min 0 s left"


def test_the_speed_is_that_of_the_last_ten_minutes(clock):
    """20 minutes at 1 a minute, then 10 minutes at 4 a minute: 40 left take 10 minutes."""
    bar = Progress("decoding", 100, "min", stream=io.StringIO())
    for _ in range(20):
        clock.passes(60)
        bar.update(1)
    for _ in range(10):
        clock.passes(60)
        bar.update(4)
    assert bar.status() == "60 of 100 min (60 %), 30 min 0 s gone, 10 min 0 s left"


def test_progress_never_goes_back_after_a_retry(clock):
    bar = Progress("decoding", 100, "min", stream=io.StringIO())
    shown = []
    for done in (10, 30, 20, 25, 30, 35):
        clock.passes(60)
        bar.reach(done)
        shown.append(bar.done)
    assert shown == [10, 30, 30, 30, 30, 35]


def test_the_bar_on_a_terminal_has_the_same_figures(clock):
    out = Terminal()
    with Progress("decoding", 100, "min", stream=out, done=40) as bar:
        clock.passes(60)
        bar.update(10)
        assert str(bar._bar).startswith("decoding: ")
        assert str(bar._bar).endswith("| 50 of 100 min (50 %), 1 min 0 s gone, 5 min 0 s left")
    with Progress("reading", None, "lines", stream=out) as bar:
        bar.update(7)
        assert str(bar._bar) == "reading: 7 lines in 0 s"


def test_without_a_terminal_lines_are_printed_at_intervals(clock):
    out = io.StringIO()
    with Progress("x", 100, stream=out) as bar:
        for _ in range(100):
            clock.passes(1)
            bar.update()
    assert out.getvalue().count("\n") == 4  # after 30, 60 and 90 s, and at the end
    assert "x: 100 of 100 (100 %)" in out.getvalue().splitlines()[-1]


def test_short_work_prints_nothing_without_a_terminal(capsys):
    assert list(track([1, 2, 3], "short")) == [1, 2, 3]
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar_with_the_time_left():
    out = Terminal()
    with Progress("decoding", 10, stream=out) as bar:
        bar.update(5)
        assert bar._bar is not None
        assert "decoding" in str(bar._bar)
        assert "50 %" in str(bar._bar)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3600, "1 h 0 min")])
def test_a_duration_in_words(seconds, text):
    assert progress.clock(seconds) == text
