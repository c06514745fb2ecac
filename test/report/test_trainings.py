"""The trainings of models, from the files beside them."""

import json

import pytest

from k2d.report.trainings import read_loss, training_figures, training_of, training_table

RECORD = {
    "phases": {
        "hear": {"steps": 300, "train_s": 60.0, "waiting_s": 3.0, "between_s": 1.0, "first": {}, "last": {}},
        "windows": {"steps": 100, "train_s": 60.0, "waiting_s": 0.0, "between_s": 5.0, "first": {}, "last": {}},
    },
    "error_rates": {"350": 0.5, "400": 0.4},
    "resumed_after": [],
    "chosen_steps": [400, 350],
    "final_error_rate": 0.385,
    "undertrained": True,
}


def test_phases_are_added_up():
    training = training_of(RECORD, "teacher")
    assert (training.steps, training.train_s, training.between_s) == (400, 120.0, 6.0)
    assert training.waiting_share == 3.0 / 120.0
    (row,) = training_table([training]).rows
    assert [cell.text for cell in row] == [
        "teacher",
        "400",
        "2.0 + 0.1",
        "2.5 %",
        "2×",
        "38.50",
        "400, 350",
        "undertrained",
    ]


def test_a_curve_is_the_means_of_stretches(tmp_path):
    lines = ["phase,step,total_step,loss", *(f"hear,{n},{n},{n / 10}" for n in range(1, 801))]
    (tmp_path / "curves.csv").write_text("\n".join(lines) + "\n")
    loss = read_loss(tmp_path / "curves.csv")
    assert len(loss) == 200
    assert loss[0] == (2.5, 0.25)


@pytest.mark.slow
def test_curves_are_drawn_if_there_are_any():
    assert list(training_figures([training_of({**RECORD, "error_rates": {}}, "teacher")])) == []
    figures = list(training_figures([training_of(RECORD, "teacher", [(1.0, 5.0), (2.0, 4.0)])]))
    assert len(figures) == 2
    assert all("<svg" in figure.svg and "teacher" in figure.svg for figure in figures)


def test_a_report_lists_trainings_and_unreadable_curves(bench):
    folder = bench.exp / "models" / "teacher"
    folder.mkdir(parents=True)
    (folder / "training.json").write_text(json.dumps(RECORD))
    (folder / "curves.csv").write_text("no,curve\n1,2\n")
    experiment = bench.read()
    assert [training.model for training in experiment.trainings] == ["teacher"]
    assert any("curves.csv: cannot be read" in line for line in experiment.missing)
