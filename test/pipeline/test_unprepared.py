"""For a corpus that is not prepared, the command that prepares it is printed, or what is missing for it."""

import shlex

import pytest
from commands_here import k2d


@pytest.fixture
def places(tmp_path):
    """The settings of a project in which nothing is prepared or made yet."""
    return [f"data={tmp_path / 'data'}", f"exp={tmp_path / 'exp'}"]


@pytest.mark.slow
def test_a_later_stage_names_the_command(places, tmp_path):
    experiment = ("--conf", "conf/smoke.yaml", *places, "name=other")
    done = k2d("pseudo_label", *experiment)
    assert done.returncode == 3
    assert f"  {tmp_path}/data/mini/lectures/wav.scp\n" in done.stderr
    command = shlex.join(["egs/mini/run.sh", *experiment, "--stage", "1", "--stop-stage", "1"])
    assert f"mini is prepared by: {command}" in done.stderr
    assert "run the stages before it first" in done.stderr  # for the teacher, which is not there either


@pytest.mark.parametrize("verb", ["pseudo_label", "chunk", "decode"])
@pytest.mark.slow
def test_each_stage_that_reads_data_names_the_command(places, tmp_path, verb):
    done = k2d(verb, *places)
    assert done.returncode == 3
    named = f"mini is prepared by: {shlex.join(['egs/mini/run.sh', *places])} --stage 1 --stop-stage 1"
    assert (named in done.stderr) == (f"  {tmp_path}/data/mini/" in done.stderr)
    assert verb == "chunk" or named in done.stderr


@pytest.mark.slow
def test_a_corpus_without_a_recipe_is_reported(places):
    done = k2d("pseudo_label", *places, "corpora.unlabelled=[nowhere/train]")
    assert done.returncode == 3
    assert "nowhere is not a corpus under egs/: add it (egs/README.md)" in done.stderr
    first = k2d("prepare", *places, "corpora.unlabelled=[nowhere/train]")
    assert first.returncode == 2
    assert "egs/nowhere/corpus.yaml: no such file; the corpora are" in first.stderr
