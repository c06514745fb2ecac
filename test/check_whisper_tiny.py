"""Checks the results of the tiny Whisper run. Run it after `./run.sh --conf conf/whisper_tiny.yaml` (see Makefile)."""

import pytest
from finished_experiment import FinishedExperiment

EXPERIMENT = FinishedExperiment("whisper_tiny")
STUDENTS = ("kd_all-s1", "k2d_composite-s1")


def test_teacher_and_students_are_whispers_of_the_configured_size():
    import whisper

    sizes = {
        name: whisper.load_model(str(EXPERIMENT.exp / "models" / name / "model.pt"), device="cpu").dims
        for name in ("teacher", *STUDENTS)
    }
    assert {dims.n_vocab for dims in sizes.values()} == {51_865}
    assert {name: dims.n_text_layer for name, dims in sizes.items()} == {
        "teacher": 4,
        "kd_all-s1": 2,
        "k2d_composite-s1": 2,
    }


def test_the_auxiliary_is_of_another_family():
    assert EXPERIMENT.config.auxiliaries["base"].family != EXPERIMENT.config.teacher.family
    assert (EXPERIMENT.exp / "models" / "base" / "model.pth").is_file()


def test_chunks_were_kept_and_dropped():
    EXPERIMENT.assert_chunks_were_kept_and_dropped("k2d_composite")


@pytest.mark.parametrize("model", ["teacher", *STUDENTS])
def test_losses_fell(model):
    EXPERIMENT.assert_losses_fell(model)


def test_the_teacher_writes_text():
    assert EXPERIMENT.read("models", "teacher", "training.json")["final_error_rate"] < 0.6


def test_the_table_has_numbers():
    EXPERIMENT.assert_the_table_has_numbers()


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("made", ["openai", "huggingface", "ctranslate2"])
def test_students_were_exported_and_loaded_again(student, made):
    assert (EXPERIMENT.exp / "export" / student / made / "README.md").is_file()
    assert EXPERIMENT.read("export", student, made, "export.json")["loaded_back"]["difference"] < 1e-4
