"""For a corpus that is not prepared, the command that prepares it is printed, or what is missing for it."""

import shutil

import pytest

PAPER = ("--conf", "conf/k2d_large_v2.yaml")


@pytest.mark.slow
def test_a_later_stage_names_the_command(project):
    done = project.k2d("pseudo_label", "--conf", "conf/smoke.yaml", "name=other")
    assert done.returncode == 3
    assert "  data/smoke/mini/lectures/wav.scp\n" in done.stderr
    command = "mini is prepared by: egs/mini/run.sh --conf conf/smoke.yaml name=other --stage 1 --stop-stage 1"
    assert command in done.stderr
    assert "run the stages before it first" in done.stderr  # for the teacher, which is not there either


@pytest.mark.parametrize("verb", ["pseudo_label", "chunk", "decode"])
@pytest.mark.slow
def test_each_stage_that_reads_data_names_the_command(project, verb):
    done = project.k2d(verb)
    assert done.returncode == 3
    named = "mini is prepared by: egs/mini/run.sh --stage 1 --stop-stage 1"
    assert (named in done.stderr) == ("  data/mini/" in done.stderr)
    assert verb == "chunk" or named in done.stderr


@pytest.mark.slow
def test_a_corpus_without_a_recipe_is_reported(project):
    done = project.k2d("pseudo_label", "corpora.unlabelled=[nowhere/train]")
    assert done.returncode == 3
    assert "nowhere is not a corpus under egs/: add it (egs/README.md)" in done.stderr
    first = project.k2d("prepare", "corpora.unlabelled=[nowhere/train]")
    assert first.returncode == 2
    assert "egs/nowhere/corpus.yaml: no such file; the corpora are" in first.stderr


@pytest.mark.slow
def test_stage_1_names_the_settings_that_it_needs(project):
    folder = project.root / "egs" / "lab"
    shutil.copytree(project.root / "egs" / "TEMPLATE", folder)
    for path in folder.iterdir():
        if path.is_file():
            path.write_text(path.read_text(encoding="utf-8").replace("TEMPLATE", "lab"), encoding="utf-8")
    done = project.k2d("prepare", *PAPER, "--corpus", "lab")
    assert done.returncode == 2
    assert "lab: where is the raw corpus? set lab_ROOT, or prepare.roots.lab=/path/to/it" in done.stderr
