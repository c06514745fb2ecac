"""Checks the results of the smoke run. Run this after `./run.sh --conf conf/smoke.yaml` (see the Makefile)."""

import pytest
from finished_experiment import FinishedExperiment

EXPERIMENT = FinishedExperiment("smoke")
STUDENTS = ("kd_all-s1", "k2d_composite-s1")


def test_chunks_were_kept_and_dropped():
    EXPERIMENT.assert_chunks_were_kept_and_dropped("k2d_composite")


@pytest.mark.parametrize("model", ["teacher", "base", *STUDENTS])
def test_losses_fell(model):
    EXPERIMENT.assert_losses_fell(model)


def test_the_teachers_error_rate_is_low():
    assert EXPERIMENT.read("models", "teacher", "training.json")["final_error_rate"] < 0.4


def test_a_student_is_smaller_and_has_a_score():
    sizes = {name: EXPERIMENT.read("models", name, "params.json")["total"] for name in ("teacher", *STUDENTS)}
    assert sizes["teacher"] > 1.5 * sizes["kd_all-s1"] == 1.5 * sizes["k2d_composite-s1"]


def test_the_table_has_numbers():
    EXPERIMENT.assert_the_table_has_numbers()
