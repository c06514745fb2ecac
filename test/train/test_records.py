"""Curves of a continued training, and the condition for an undertrained model."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k2d.train.records import Curves, PhaseRecord, TrainingRecord, is_undertrained


def rows(path):
    with path.open(encoding="utf-8") as file:
        return [(line["phase"], int(line["total_step"]), line["loss"], line["ctc"]) for line in csv.DictReader(file)]


def test_curves_continue_after_the_checkpoint(tmp_path):
    path = tmp_path / "curves.csv"
    curves = Curves(path, ["loss", "ctc"])
    curves.resume(0)
    for step in range(1, 5):
        curves.add("one", step, step, {"loss": step / 3, "ctc": 1.0})
    curves.flush()
    path.write_text(path.read_text() + "one,5,5,0.1")  # killed in the middle of a line
    resumed = Curves(path, ["loss", "ctc"])
    resumed.resume(3)
    resumed.add("two", 1, 4, {"loss": 0.25})
    resumed.flush()
    assert rows(path) == [
        *(("one", step, repr(step / 3), "1.0") for step in (1, 2, 3)),
        ("two", 4, "0.25", ""),
    ]


def test_a_new_training_begins_an_empty_table(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("phase,step,total_step,loss,ctc\none,1,1,2.0,2.0\n")
    Curves(path, ["loss", "ctc"]).resume(0)
    assert rows(path) == []


@pytest.mark.parametrize(
    ("error_rates", "expected"),
    [
        ({80: 0.40, 100: 0.381}, False),
        ({80: 0.40, 100: 0.38}, True),  # five per cent is too much
        ({80: 0.40, 90: 0.2, 100: 0.40}, False),
        ({60: 0.40, 100: 0.2}, True),  # the last one before the last fifth
        ({80: 0.30, 100: 0.50}, False),
        ({80: 0.0, 100: 0.0}, False),
        ({81: 0.40, 100: 0.2}, None),
        ({80: 0.40, 99: 0.2}, None),
        ({}, None),
    ],
)
def test_undertrained(error_rates, expected):
    assert is_undertrained(error_rates, 100) is expected


@given(st.dictionaries(st.integers(0, 9999), st.floats(0, 2)), st.floats(0, 1e6))
def test_a_record_is_restored_from_its_checkpoint(error_rates, train_s):
    phase = PhaseRecord(3, train_s, 1.0, 2.0, {"loss": 2.0}, {"loss": 1.0})
    record = TrainingRecord({"one": phase}, error_rates, [3], [7, 9], 0.25, True)
    assert TrainingRecord.from_state(record.as_state()) == record


def test_the_share_of_time_spent_waiting():
    assert PhaseRecord(train_s=4.0, waiting_s=1.0).waiting_share == 0.25
    assert PhaseRecord().waiting_share == 0.0
