"""Progress with the time left, on a terminal and off it."""

import io

import pytest

from k2d import progress
from k2d.progress import Progress, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_how_much_is_done_and_how_long_is_left():
    bar = Progress("decoding", 200, "windows", stream=io.StringIO())
    bar.update(50)
    assert bar.line(30) == "decoding: 50 of 200 windows (25 %), 30 s gone, 1 min 30 s left"
    bar.update(150)
    assert bar.line(120) == "decoding: 200 of 200 windows (100 %), 2 min 0 s gone, 0 s left"


def test_without_a_total_there_is_no_time_left():
    bar = Progress("reading", None, "lines", stream=io.StringIO())
    bar.update(1234)
    assert bar.line(5) == "reading: 1,234 lines in 5 s"


def test_off_a_terminal_a_line_comes_every_so_often_and_not_more(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with Progress("x", 100, stream=out) as bar:
        for _ in range(100):
            now[0] += 1
            bar.update()
    assert out.getvalue().count("\n") == 4  # after 30, 60 and 90 s, and at the end
    assert "x: 100 of 100 (100 %)" in out.getvalue().splitlines()[-1]


def test_what_is_short_says_nothing_off_a_terminal(capsys):
    assert list(track([1, 2, 3], "short")) == [1, 2, 3]
    assert capsys.readouterr().err == ""


def test_on_a_terminal_there_is_a_bar_with_the_time_left():
    out = Terminal()
    with Progress("decoding", 10, stream=out) as bar:
        bar.update(5)
        assert bar._bar is not None
        assert "decoding" in str(bar._bar)
        assert "50%" in str(bar._bar)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (3600, "1 h 0 min")])
def test_clock(seconds, text):
    assert progress.clock(seconds) == text
