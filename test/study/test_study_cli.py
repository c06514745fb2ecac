"""The command, on an experiment's folders: what it writes, prints and refuses."""

import json
import shutil

import pytest
from studied_chunks import settings, write_split

from k2d.__main__ import main

pytestmark = pytest.mark.slow


def study(root, *words):
    return main(["study", *settings(root), *words])


def written(root):
    return json.loads((root / "exp" / "x" / "study" / "study.json").read_text(encoding="utf-8"))


def test_the_figures_of_an_experiment_by_hand(experiment, capsys):
    """With α = 0.3 composite drops the second and fifth chunk of five; of these the fifth is bad."""
    assert study(experiment) == 0
    found = written(experiment)
    assert (found["n_chunks"], found["n_bad"], found["n_recordings"]) == (20, 4, 4)
    assert (found["true_words"], found["true_errors"], found["alpha"]) == (200, 4 * (1 + 2 + 6), 0.3)
    assert found["kept_hours"] == pytest.approx(120 / 3600)
    figures = found["judges"]["composite:base"]["figures"]
    assert figures["label_error"] == pytest.approx(3 / 30)
    assert (figures["recall"], figures["precision"]) == (1.0, 0.5)
    # The teacher is surest of the first two chunks, and the third is the next one.
    assert found["judges"]["mean_logprob"]["figures"]["label_error"] == pytest.approx(1 / 30)
    assert found["judges"]["lowest_window"]["figures"]["label_error"] == pytest.approx(1 / 30)
    assert found["judges"]["oracle"]["figures"]["label_error"] == pytest.approx(1 / 30)
    assert found["judges"]["random"]["figures"]["label_error"] == pytest.approx(36 / 200)
    assert found["judges"]["failed_windows"]["figures"]["recall"] == 1.0
    printed = capsys.readouterr().out
    assert "20 chunks of 4 recordings; composite:base with α = 0.3 keeps 0.03 hours" in printed
    assert "study/STUDY.md" in printed


def test_alignments_are_judges_if_stage_7_has_made_them(experiment):
    chunks = (experiment / "exp/x/chunks/lab/lectures/text").read_text().splitlines()
    keys = [line.split()[0] for line in chunks]
    folder = experiment / "exp/x/alignments/base/lab/lectures"
    folder.mkdir(parents=True)
    # The label of the last chunk of a lecture, in which six words are wrong, fits badly.
    rows = [f"{key}\t{0.9 if key.endswith('4') else 0.1:.4f}\t-1.0000\t-1.0000" for key in keys]
    table = folder / "alignments.tsv"
    table.write_text("\n".join(["id\tdistance\tlogprob\town_logprob", *rows]) + "\n")
    assert study(experiment) == 0
    figures = written(experiment)["judges"]["alignment:base"]["figures"]
    assert (figures["recall"], figures["area"]) == (1.0, 1.0)
    table.write_text("\n".join(["id\tdistance\tlogprob\town_logprob", *rows[1:]]) + "\n")
    assert study(experiment) == 1


def test_errors_are_counted_by_kind_and_the_dropped_share_of_each_is_shown(experiment):
    """Every wrong character is 錯. The fifth chunk of a lecture has six of nine, the fourth two, the third one."""
    assert study(experiment) == 0
    assert written(experiment)["error_kinds"] == {"other character": 36}
    lines = (experiment / "exp" / "x" / "study" / "STUDY.md").read_text(encoding="utf-8").splitlines()
    cells = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in lines if line.startswith("| ")}
    assert cells["errors per 100 true words, all labels"] == "18.0"
    assert cells["dropped by composite:base"] == "66.7 %"
    assert cells["dropped by random"] == "40.0 %"


def test_all_forms_are_written(experiment):
    study(experiment)
    folder = experiment / "exp" / "x" / "study"
    assert sorted(path.name for path in folder.iterdir()) == ["STUDY.md", "chunks.tsv", "study.html", "study.json"]
    tables = (folder / "STUDY.md").read_text(encoding="utf-8")
    assert "| composite:base |" in tables
    assert "Reliability of combined" in tables
    assert "Plots are in study.html beside this file" in tables
    assert (folder / "study.html").read_text(encoding="utf-8").count("<svg") == 2
    assert len((folder / "chunks.tsv").read_text(encoding="utf-8").splitlines()) == 21


def test_a_study_does_not_change_what_stages_have_made(experiment):
    files = {path: path.read_bytes() for path in (experiment / "exp").rglob("*") if path.is_file()}
    study(experiment)
    study(experiment)
    assert {path: path.read_bytes() for path in files} == files


def test_everything_that_is_missing_is_listed_at_once(experiment, capsys):
    exp = experiment / "exp" / "x"
    (exp / "pseudo" / "lab" / "lectures" / "hyp.jsonl").unlink()
    shutil.rmtree(exp / "chunks")
    shutil.rmtree(exp / "select")
    (experiment / "data" / "lab" / "lectures_truth" / "segments").unlink()
    assert study(experiment) == 3
    message = capsys.readouterr().err
    assert "hyp.jsonl is missing; run stage 5 (pseudo_label) first" in message
    assert "chunks/lab/lectures/text is missing; run stage 6 (chunk) first" in message
    assert "distances.tsv is missing; run stages 7 (second_opinion) and 8 (select) first" in message
    assert "lectures_truth/segments is missing" in message


def test_without_truth_there_is_nothing_to_compare_with(experiment, capsys):
    truth = experiment / "data" / "lab" / "lectures_truth"
    truth.rename(experiment / "mine")
    assert study(experiment) == 3
    assert "name a folder with --truth lab/lectures=DIR" in capsys.readouterr().err
    assert study(experiment, "--truth", f"lab/lectures={experiment / 'mine'}") == 0
    assert written(experiment)["n_bad"] == 4


def test_wrong_words_are_all_named(experiment, capsys):
    words = ("--truth", "lab/other=x", "--truth", "lab/lectures=nowhere", "--fit", "lab/few")
    assert study(experiment, *words) == 2
    message = capsys.readouterr().err
    assert "--truth lab/other=x: expected SPLIT=DIR, with SPLIT one of lab/lectures" in message
    assert "--truth lab/lectures=nowhere: expected a data directory, found no folder nowhere" in message
    assert "--fit lab/few: expected an unlabelled split with truth, one of lab/lectures" in message
    assert study(experiment, "--fit", "lab/lectures") == 2
    assert "no other split with truth is left to judge" in capsys.readouterr().err


def test_without_labels_or_auxiliaries_the_config_is_named(experiment, capsys):
    assert study(experiment, "corpora.unlabelled=[]", "auxiliaries={}", "select.methods={}") == 2
    message = capsys.readouterr().err
    assert "corpora.unlabelled is empty" in message
    assert study(experiment, "auxiliaries.base=null", "select.methods.k2d=null") == 2
    assert "auxiliaries is empty" in capsys.readouterr().err


def test_a_labelled_split_teaches_and_is_not_judged(experiment, capsys):
    write_split(experiment, "lab/few", ("k", "l"))
    splits = "corpora.unlabelled=[lab/lectures,lab/few]"
    assert study(experiment, "--fit", "lab/few", splits) == 0
    found = written(experiment)
    assert found["n_chunks"] == 20
    assert found["judges"]["combined"]["uses"] == "all of the above, fitted on the truth of lab/few (10 chunks)"
    assert study(experiment, splits) == 0
    assert written(experiment)["n_chunks"] == 30


def test_a_split_without_truth_is_left_out_and_named(experiment, capsys):
    assert study(experiment, "corpora.unlabelled=[lab/lectures,lab/more]") == 0
    assert "left out, because their truth is not known: lab/more" in capsys.readouterr().out


def test_distances_of_other_chunks_are_refused(experiment, capsys):
    path = experiment / "exp" / "x" / "select" / "distances" / "base" / "distances.tsv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    assert study(experiment) == 1
    assert "the chunk lab/lectures/d-4 is missing; run stage 8 (select) again" in capsys.readouterr().err
    path.write_text("\n".join([*lines, lines[-1].replace("d-4", "e-4")]) + "\n")
    assert study(experiment) == 1
    assert "1 chunks are not among those of stage 6: lab/lectures/e-4" in capsys.readouterr().err


def test_labels_without_a_word_are_left_out_and_counted(experiment, capsys):
    path = experiment / "exp" / "x" / "select" / "distances" / "base" / "distances.tsv"
    text = path.read_text()
    path.write_text(text.replace("lab/lectures/a-0\ta\t10.000\t0\t0\t10", "lab/lectures/a-0\ta\t10.000\t0\t0\t0"))
    assert study(experiment) == 0
    assert written(experiment)["n_chunks"] == 19
    assert "left out: 1 chunk without a word in its label" in capsys.readouterr().out


def test_the_command_from_outside(experiment, untouched_project):
    done = untouched_project.k2d("study", *settings(experiment), "score.bad_label_mer=0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert written(experiment)["n_bad"] == 8
    assert "combined_unsupervised" in done.stdout
