"""Stage 13: made from stored files alone, made again when they change, honest about gaps."""

import json
import random
import sys

import pytest
from commands_here import ExperimentHere
from made_audio import speechlike, write_audio
from made_experiment import (
    CONF,
    fabricate,
    made_row,
    write_chunks,
    write_distances,
    write_record,
    write_score,
    write_speed,
)

from k2d.config import load_config
from k2d.pipeline.runner import make_job
from k2d.report.stored import read_experiment
from k2d.stages.report import make, units

pytestmark = pytest.mark.slow  # each test runs the stage several times


@pytest.fixture
def made(tmp_path):
    found = ExperimentHere(tmp_path, "made")
    found.conf.write_text(CONF)
    return found


def made_job(folder):
    (folder / "made.yaml").write_text(CONF)
    return make_job(load_config(folder / "made.yaml", [f"exp={folder / 'exp'}"]))


def report(made, *words):
    done = made.k2d("report", *words)
    folder = made.exp / "report"
    texts = [(folder / name).read_text() if (folder / name).exists() else "" for name in ("RESULTS.md", "report.html")]
    return done, *texts


def test_a_complete_experiment_as_markdown_and_html(made):
    fabricate(made.exp, n_chunks=400, n_with_audio=8)
    done, results, page = report(made)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in 30 scores = kept 30" in done.stdout
    row = next(line for line in results.splitlines() if line.startswith("| k2d_composite-s1 | 2.1 |"))
    assert row.count("**") == 8  # the best on all four test sets
    for heading in ("(Table 2)", "(Table 3)", "(Table 4)", "Parts of the sets", "Selection", "(Table 5)", "Signatures"):
        assert heading in results
        assert heading in page
    assert "not there yet" not in results
    assert page.count("<audio controls") == 8
    assert page.count("<svg") == 4 + 5 + 3
    assert page.count("<article") == 30
    assert "線性代數" in page
    assert results.startswith("# Results of made\n")
    assert not (made.root / "RESULTS.md").exists()  # the project's own is written by --publish alone


def test_the_work_grows_as_the_number_of_chunks_does(tmp_path):
    """From n to 2n and from 2n to 4n chunks: the second step adds twice as much work, or four times if quadratic."""
    job = made_job(tmp_path)
    rows = [made_row(f"mini/lectures/c{n}", n, n < 8, random.Random(n)) for n in range(2000)]
    write_distances(job.layout.exp, rows[:1])
    read_experiment(job.config, job.layout)  # imports what it needs
    calls = []
    for n_chunks in (500, 1000, 2000):
        write_distances(job.layout.exp, rows[:n_chunks])
        calls.append(n_calls(lambda: read_experiment(job.config, job.layout)))
    assert calls[1] - calls[0] >= 500
    assert calls[2] - calls[1] < 2.5 * (calls[1] - calls[0])


def n_calls(work):
    """The number of functions that `work` calls, including those in C."""
    n = 0

    def count(_frame, event, _argument):
        nonlocal n
        n += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return n


def test_the_report_of_an_empty_experiment_names_the_missing_parts(made):
    done, results, page = report(made)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "There are no scores yet: run stages 11 and 12." in results
    assert "- not there yet: scores of teacher, kd_all-s1, " in results
    assert "<li>not there yet: what the method k2d_mer kept (stage 8)</li>" in page
    assert "not there yet: scores of teacher, kd_all-s1, " in done.stdout


def test_equal_results_are_skipped_and_new_ones_give_a_new_report(made):
    write_score(made.exp, "teacher", "mini/read_test", 0.1)
    report(made)
    again, *_ = report(made)
    assert f"{made.exp}/report: done already, skipped" in again.stdout
    write_score(made.exp, "kd_all-s1", "mini/read_test", 0.05)
    anew, results, _ = report(made)
    assert anew.returncode == 0
    assert "score/kd_all-s1/mini/read_test/score.json is new" in anew.stdout
    assert "| kd_all-s1 | – | – | – | **5.00 (50.0)** |" in results


def test_the_same_files_make_the_same_report(tmp_path):
    job = made_job(tmp_path)
    for system in ("teacher", "kd_all-s1"):
        write_score(job.layout.exp, system, "mini/read_test", speed=0.2)
    write_record(job.layout.exp, "kd_all")
    write_distances(job.layout.exp, [made_row("mini/lectures/c1", 0, True, random.Random(1))])
    reports = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        make(units(job)[0], job, folder)
        reports.append([(folder / name).read_bytes() for name in ("RESULTS.md", "report.html")])
    assert reports[0] == reports[1]


def test_a_damaged_score_does_not_stop_the_report(made):
    write_score(made.exp, "teacher", "mini/read_test", 0.1)
    write_score(made.exp, "teacher", "mini/talk_test", 0.2).write_text("{}")
    done, results, _ = report(made)
    assert done.returncode == 0
    assert "| teacher | – | – | – | **10.00** |" in results
    assert "teacher/mini/talk_test/score.json: cannot be read (KeyError: 'model')" in results


def test_names_from_others_are_shown_as_text(made):
    evil = "<img src=x onerror=alert(1)>"
    path = write_score(made.exp, "teacher", "mini/read_test", 0.1, signature=evil)
    assert json.loads(path.read_text())["signature"] == evil
    _, results, page = report(made)
    assert evil not in results
    assert evil not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


def test_texts_are_normalised_as_in_selection(tmp_path):
    """Traditional and simplified characters are equal, and timestamps are ignored."""
    job = made_job(tmp_path)
    audio = write_audio(tmp_path / "a.wav", speechlike(11.0), subtype="PCM_16")
    write_chunks(job.layout.exp, {"c1": ("我們用 GPU", "我们用<4.20>Gpu")}, str(audio))
    write_distances(job.layout.exp, [made_row("mini/lectures/c1", 0, True, random.Random(1))])
    make(units(job)[0], job, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "<mark>" not in page
    assert page.count(">我们用 gpu</dd>") == 2


@pytest.mark.slow
def test_the_report_reads_the_output_of_stages_8_and_12(made):
    """The three stages in order, on a few lines of hand-made text. Their commands are listed."""
    exp, data = made.exp, made.root / "data/mini/read_test"
    audio = write_audio(made.root / "lecture.wav", speechlike(31.0), subtype="PCM_16")
    labels = {
        "r1-1": ("我們 用 GPU", "我們 用 CPU"),
        "r1-2": ("這個 model 很 好", "這個 model 很 好"),
        "r1-3": ("謝謝", ""),
    }
    write_chunks(exp, labels, str(audio))
    chunks = exp / "chunks/mini/lectures"
    (chunks / "utt2spk").write_text("".join(f"{key} r1\n" for key in labels))
    (chunks / "spk2utt").write_text(f"r1 {' '.join(labels)}\n")
    (chunks / "reco2dur").write_text("r1 31.0\n")
    (chunks / "reco2course").write_text("r1 代數\n")
    data.mkdir(parents=True)
    for name, line in (("wav.scp", f"u1 {audio}"), ("utt2spk", "u1 s1"), ("spk2utt", "s1 u1"), ("utt2dur", "u1 31.0")):
        (data / name).write_text(line + "\n")
    (data / "text").write_text("u1 今天 我們 用 GPU 跑 model\n")
    for model, hypothesis in (("teacher", "今天 我們 用 CPU 跑 模"), ("kd_all-s1", "今天 我們 用 GPU 跑 model")):
        decoded = exp / "decode" / model / "mini/read_test"
        decoded.mkdir(parents=True)
        (decoded / "text").write_text(f"u1 {hypothesis}\n")
        write_speed(exp, model, "mini/read_test", 0.1 if model == "teacher" else 0.02)
    small = ("corpora.dev=[]", "corpora.in_domain=[]", "corpora.out_domain=[mini/read_test]")
    for verb in ("select", "score"):
        done = made.k2d(verb, *small)
        assert done.returncode == 0, done.stdout + done.stderr
    done, results, page = report(made, *small)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cannot be read" not in results
    assert "| teacher | – | ×1.0 | – | 25.00 |" in results  # 2 of 8 tokens: GPU and model
    assert "| kd_all-s1 | – | ×5.0 | 100.0 % | **0.00 (100.0)** |" in results
    assert "| k2d_composite | composite | 0.4 | base |" in results
    assert "代數" in results
    assert "mini/lectures/r1-1" in page
    assert "<mark>gpu</mark>" in page
    for verb in ("select", "score"):
        assert f"| {verb} | python -m k2d {verb} --conf {made.conf} " in results
