"""Timing in turn: all compared models run under the same conditions of the machine."""

from types import SimpleNamespace

import pytest
import torch

from k2d.core.errors import K2DError
from k2d.decode import stopwatch
from k2d.decode.sources import Failed
from k2d.decode.stopwatch import Timed, measure_in_turn


@pytest.fixture
def clock(monkeypatch):
    """A clock that only decoding sets forward, on a machine that is twice as slow from the third turn on."""
    state = SimpleNamespace(now=0.0, order=[])

    def decode(recogniser, sources, options, is_loop):
        state.order.append(recogniser.name)
        state.now += recogniser.seconds * (2 if len(state.order) > 4 else 1)
        yield from sources

    monkeypatch.setattr(stopwatch, "decode_recordings", decode)
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: state.now)
    return state


def timed(name, seconds):
    recogniser = SimpleNamespace(name=name, seconds=seconds, device=torch.device("cpu"))
    return Timed(recogniser, [object()], SimpleNamespace())


def test_models_take_turns_and_the_first_turn_does_not_count(clock):
    turns = []
    racers = {"teacher": timed("teacher", 8.0), "student": timed("student", 2.0)}
    runs_s = measure_in_turn(racers, 3, lambda: turns.append(1))
    assert clock.order == ["teacher", "student"] * 4
    assert runs_s == {"teacher": [8.0, 16.0, 16.0], "student": [2.0, 4.0, 4.0]}
    assert sum(runs_s["teacher"]) / sum(runs_s["student"]) == 4.0  # whatever the machine did
    assert len(turns) == 8


def test_audio_that_cannot_be_read_stops_the_timing(monkeypatch):
    def decode(recogniser, sources, options, is_loop):
        yield Failed("r1", "unreadable", "r1.wav: not an audio file")

    monkeypatch.setattr(stopwatch, "decode_recordings", decode)
    with pytest.raises(K2DError, match=r"r1: r1\.wav: not an audio file"):
        measure_in_turn({"teacher": timed("teacher", 1.0)}, 1)
