"""Stages 5, 7 and 11 and `transcribe` on tiny random models: resume, bad recordings, records."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest
from commands_here import ExperimentHere, k2d
from decoded_project import CONF, LENGTHS_S, write_experiment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The experiment, written once. Each test works on a copy."""
    root = tmp_path_factory.mktemp("made") / "lab"
    (root / "conf").mkdir(parents=True)
    write_experiment(root)
    return root


@pytest.fixture
def lab(tmp_path, made):
    shutil.copytree(made, tmp_path / "lab")
    found = ExperimentHere(tmp_path / "lab")
    found.conf.write_text(CONF, encoding="utf-8")
    return found


def exp(lab, *parts):
    return lab.exp.joinpath(*parts)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_from_recordings_to_second_opinions_and_scores(lab):
    message = lab.stages(5, 7, "--nj", "1")
    hypotheses = lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl"))
    assert [row["id"] for row in hypotheses] == list(LENGTHS_S)
    assert [row["duration_s"] for row in hypotheses] == list(LENGTHS_S.values())
    for row in hypotheses:
        assert all(0 <= s["start_s"] <= s["end_s"] <= row["duration_s"] for s in row["segments"])
        assert all(w["ended"] and w["moved_by"] for w in row["windows"])
        assert sum(w["advance_s"] for w in row["windows"]) == pytest.approx(row["duration_s"], abs=0.2)

    record = json.loads(exp(lab, "pseudo", "lab", "train", "record.json").read_text())
    assert (
        record["n_windows"] == sum(len(row["windows"]) for row in hypotheses) == sum(record["windows_ended"].values())
    )
    assert record["window_s"] == 10.0
    assert "in 4 recordings = kept 4" in message

    chunks = exp(lab, "chunks", "lab", "train", "text").read_text().splitlines()
    opinions = exp(lab, "opinions", "base", "lab", "train", "text").read_text().splitlines()
    assert [line.split()[0] for line in chunks] == [line.split()[0] for line in opinions]
    timing = json.loads(exp(lab, "opinions", "base", "lab", "train", "timing.json").read_text())
    assert timing["runs_s"][0] > 0
    assert "done already" in lab.stages(5, 7, "--nj", "1")
    labels_are_aligned(lab)

    message = lab.stages(11, 12, "--nj", "1")
    assert "teacher on lab/test: MER" in message
    speed = json.loads(exp(lab, "speed", "lab", "test", "speed.json").read_text())
    for way, batch_size in (("single", 1), ("batched", 3)):
        assert list(speed[way]) == ["teacher", "base"]
        for timing in speed[way].values():
            assert (timing["audio_s"], timing["batch_size"], len(timing["runs_s"])) == (23.0, batch_size, 2)


def labels_are_aligned(lab):
    """Asking for alignments adds a unit to stage 7, keeps the opinions, and a rule of stage 8 reads them."""
    opinions = exp(lab, "opinions", "base", "lab", "train", "hyp.jsonl")
    before = opinions.stat().st_mtime_ns
    refused = lab.k2d("select", "select.methods={fits: {rule: alignment}}")
    assert "auxiliaries.base.alignment: true beside it" in refused.stderr
    lab.stages(7, 7, "--nj", "1", "auxiliaries.base.alignment=true")
    assert opinions.stat().st_mtime_ns == before
    rows = exp(lab, "alignments", "base", "lab", "train", "alignments.tsv").read_text().splitlines()
    distance_of = {key: distance for key, distance, *_ in (line.split("\t") for line in rows[1:])}
    chunks = exp(lab, "chunks", "lab", "train", "text").read_text().splitlines()
    assert list(distance_of) == [line.split()[0] for line in chunks]
    alpha = statistics.median(map(float, distance_of.values()))
    fits = f"select.methods={{fits: {{rule: alignment, alpha: {alpha}}}}}"
    lab.stages(8, 8, "--nj", "1", "auxiliaries.base.alignment=true", fits)
    decisions = exp(lab, "select", "fits", "decisions.tsv").read_text().splitlines()[1:]
    for line in decisions:
        key, decision, reason, distance = line.split("\t")
        assert distance == distance_of[key.removeprefix("lab/train/")]
        assert (decision == "kept") == (not reason) == (reason != "empty_teacher" and float(distance) <= alpha)
    table = exp(lab, "alignments", "base", "lab", "train", "alignments.tsv")
    table.write_text("".join(f"{line}\n" for line in rows[:-1]))
    short = lab.k2d("select", "--force", "auxiliaries.base.alignment=true", fits)
    assert short.returncode == 1
    assert "alignments.tsv" in short.stderr


def test_the_number_of_processes_and_the_batch_change_nothing(lab):
    lab.stages(5, 5, "--nj", "1", "decode.batch_size=1")
    alone = lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl"))
    assert "done already" in lab.stages(5, 5, "--nj", "2", "decode.batch_size=4")
    for path in exp(lab, "pseudo").rglob("stamp.json"):
        path.unlink()
    lab.stages(5, 5, "--nj", "2", "decode.batch_size=4", "--force")
    assert lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl")) == alone


def test_labels_follow_the_teachers_settings_for_decoding(lab):
    """With joint decoding in the config, labels equal the output of `transcribe` for the same recording."""
    labels = {}
    for mode in ("attention", "joint"):
        lab.stages(5, 5, "--nj", "1", "--force", f"teacher.decode={mode}", "decode.ctc_weight=0.5")
        labels[mode] = {row["id"]: row["segments"] for row in lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl"))}
    assert labels["joint"] != labels["attention"]
    model = ["--model", str(exp(lab, "models", "teacher")), "--language", "zho"]
    how = ["--mode", "joint", "--ctc-weight", "0.5", "--format", "json"]
    done = k2d("transcribe", *model, *how, str(lab.root / "audio" / "rc.wav"))
    assert done.returncode == 0, done.stderr
    hypotheses = json.loads(done.stdout)["segments"]
    assert [each["text"] for each in hypotheses] == [each["text"] for each in labels["joint"]["rc"]]


def start(lab, verb):
    """A stage in a process and a session of its own, to be killed with its workers."""

    def run():
        os.setsid()
        lab.k2d(verb)

    running = multiprocessing.get_context("fork").Process(target=run)
    running.start()
    return running


def answers(lab, kind):
    """The items with an answer in the part files, in the order of writing."""
    parts = sorted(exp(lab, "cache", kind).rglob("part-*.lines"))
    return [line.split(" ")[0] for part in parts for line in part.read_text().splitlines()]


def killed_in_the_middle(lab, verb, kind, output):
    """Kill the stage that makes this folder as soon as it has an answer, and return its answers."""
    for path in output.iterdir():
        path.unlink()
    running = start(lab, verb)
    until = time.monotonic() + 90
    while not answers(lab, kind) and time.monotonic() < until and running.is_alive():
        time.sleep(0.002)
    if running.is_alive():
        os.killpg(running.pid, signal.SIGKILL)
    running.join()
    lab.wait_until_free()
    return answers(lab, kind)


@pytest.mark.parametrize(("verb", "kind"), [("pseudo_label", "pseudo"), ("second_opinion", "opinions")])
def test_after_kill_9_only_missing_recordings_are_decoded(lab, verb, kind):
    one_by_one = "decode.batch_size=1"
    lab.stages(5, 6, "--nj", "1", one_by_one)
    number = 5 if kind == "pseudo" else 7
    lab.stages(number, number, "--nj", "1")
    output = next(exp(lab, kind).rglob("hyp.jsonl"))
    undisturbed = {name: (output.parent / name).read_bytes() for name in ("hyp.jsonl", "text")}

    lab.conf.write_text(CONF.replace("batch_size: 3", "batch_size: 1"))
    for _ in range(5):  # on a loaded machine it may end between two looks at its answers
        before = killed_in_the_middle(lab, verb, kind, output.parent)
        if before:
            break
    assert before, "it was killed before it had begun"

    part = sorted(exp(lab, "cache", kind).rglob("part-*.lines"))[0]
    first, *rest = part.read_text().splitlines(keepends=True)
    marked = re.sub(r'"s": [0-9.]+', '"s": 1000.0', first)  # its cost is in the record, so it was not decoded again
    part.write_text("".join([marked, *rest, f"{before[0]} {{half a li"]))
    lab.stages(number, number, "--nj", "1")
    assert {name: (output.parent / name).read_bytes() for name in undisturbed} == undisturbed
    assert 1000 <= json.loads((output.parent / "record.json").read_text())["work_s"] < 1900


def test_a_bad_recording_costs_no_other_recording(lab):
    path = lab.root / "data" / "lab" / "train" / "wav.scp"
    rows = dict(line.split(" ", 1) for line in path.read_text().splitlines())
    broken = lab.root / "audio" / "broken.wav"
    broken.write_bytes(Path(rows["rb"]).read_bytes()[:20_000])
    path.write_text("".join(f"{key} {broken if key == 'rb' else audio}\n" for key, audio in rows.items()))
    message = lab.stages(5, 5, "--nj", "2")
    assert "in 4 recordings = kept 3 + truncated 1" in message
    assert [row["id"] for row in lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl"))] == ["ra", "rc", "rd"]
    (rejected,) = lines(exp(lab, "pseudo", "lab", "train", "rejected.jsonl"))
    assert (rejected["id"], rejected["reason"]) == ("rb", "truncated")


def test_transcribe_writes_all_formats_and_names_a_broken_file(lab, tmp_path):
    folder = tmp_path / "some lectures"
    folder.mkdir()
    whole = (lab.root / "audio" / "rc.wav").read_bytes()
    (folder / "a talk.wav").write_bytes(whole)
    (folder / "broken.wav").write_bytes(whole[:5000])
    model = ["--model", str(exp(lab, "models", "teacher")), "--language", "zho"]
    for form in ("srt", "vtt", "json", "txt"):
        done = k2d("transcribe", *model, "--format", form, "--out", str(tmp_path / "out"), str(folder))
        assert done.returncode == 1
        assert "broken.wav" in done.stderr
        assert "1 of 2 files could not be transcribed" in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a talk.json",
        "a talk.srt",
        "a talk.txt",
        "a talk.vtt",
    ]
    hypotheses = json.loads((tmp_path / "out" / "a talk.json").read_text())
    assert hypotheses["duration_s"] == 4.5
    jointly = k2d("transcribe", *model, "--mode", "joint", "--format", "json", str(folder / "a talk.wav"))
    assert (jointly.returncode, json.loads(jointly.stdout)["duration_s"]) == (0, 4.5)
    assert (tmp_path / "out" / "a talk.vtt").read_text().startswith("WEBVTT\n\n00:00:")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.wav"], "nowhere.wav: there is no such file"),
        (["--model", "exp/x/models/nobody", "lab/audio/rc.wav"], "exp/x/models/nobody: there is no such model"),
        (["lab/conf"], "conf: a folder without audio"),
    ],
)
def test_a_wrong_call_of_transcribe_is_explained(made, monkeypatch, words, message):
    monkeypatch.chdir(made.parent)
    model = [] if "--model" in words else ["--model", "lab/exp/x/models/teacher"]
    done = k2d("transcribe", *model, *words)
    assert done.returncode in (1, 2)
    assert message in done.stderr
