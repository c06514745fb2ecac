"""Stages 5, 7 and 11 and `transcribe` from outside, on tiny random models: resume, bad recordings, records."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from decoded_project import LENGTHS_S, write_experiment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The experiment, written once. Each test works on a copy."""
    root = tmp_path_factory.mktemp("made")
    (root / "conf").mkdir()
    write_experiment(root)
    return root


@pytest.fixture
def lab(warm_project, made):
    for name in ("conf", "data", "exp", "audio"):
        for path in (made / name).rglob("*"):
            target = warm_project.root / path.relative_to(made)
            if path.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    return warm_project


def stages(lab, first, last, *words):
    done = lab.run("--conf", "conf/x.yaml", "--stage", str(first), "--stop-stage", str(last), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def exp(lab, *parts):
    return lab.root.joinpath("exp", "x", *parts)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_from_recordings_to_second_opinions_and_scores(lab):
    message = stages(lab, 5, 7, "--nj", "1")
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
    assert "done already" in stages(lab, 5, 7, "--nj", "1")

    message = stages(lab, 11, 12, "--nj", "1")
    assert "teacher on lab/test: MER" in message
    speed = json.loads(exp(lab, "speed", "lab", "test", "speed.json").read_text())
    for way, batch_size in (("single", 1), ("batched", 3)):
        assert list(speed[way]) == ["teacher", "base"]
        for timing in speed[way].values():
            assert (timing["audio_s"], timing["batch_size"], len(timing["runs_s"])) == (23.0, batch_size, 2)


def test_the_number_of_processes_and_the_batch_change_nothing(lab):
    stages(lab, 5, 5, "--nj", "1", "decode.batch_size=1")
    alone = lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl"))
    stages(lab, 5, 5, "--nj", "2", "decode.batch_size=4", "name=x")
    assert "done already" in stages(lab, 5, 5, "--nj", "2", "decode.batch_size=4")
    for path in exp(lab, "pseudo").rglob("stamp.json"):
        path.unlink()
    stages(lab, 5, 5, "--nj", "2", "decode.batch_size=4", "--force")
    assert lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl")) == alone


def test_labels_follow_the_teachers_settings_for_decoding(lab):
    """With joint decoding in the config, labels equal the output of `transcribe` for the same recording."""
    labels = {}
    for mode in ("attention", "joint"):
        stages(lab, 5, 5, "--nj", "1", "--force", f"teacher.decode={mode}", "decode.ctc_weight=0.5")
        labels[mode] = {row["id"]: row["segments"] for row in lines(exp(lab, "pseudo", "lab", "train", "hyp.jsonl"))}
    assert labels["joint"] != labels["attention"]
    words = ["--model", "exp/x/models/teacher", "--language", "zho", "--mode", "joint", "--ctc-weight", "0.5"]
    done = lab.k2d("transcribe", *words, "--format", "json", str(lab.root / "audio" / "rc.wav"))
    assert done.returncode == 0, done.stderr
    hypotheses = json.loads(done.stdout)["segments"]
    assert [each["text"] for each in hypotheses] == [each["text"] for each in labels["joint"]["rc"]]


def start(lab, verb):
    """Start a stage in its own session, so that it can be killed with its workers."""
    words = [sys.executable, "-m", "k2d", verb, "--conf", "conf/x.yaml", "--nj", "1"]
    environment = {**lab.environment, "PYTHONPATH": str(lab.root)}
    return subprocess.Popen(words, cwd=lab.root, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)


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
    while not answers(lab, kind) and time.monotonic() < until and running.poll() is None:
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return answers(lab, kind)


@pytest.mark.parametrize(("verb", "kind"), [("pseudo_label", "pseudo"), ("second_opinion", "opinions")])
def test_after_kill_9_only_missing_recordings_are_decoded(lab, verb, kind):
    one_by_one = "decode.batch_size=1"
    stages(lab, 5, 6, "--nj", "1", one_by_one)
    number = 5 if kind == "pseudo" else 7
    stages(lab, number, number, "--nj", "1")
    output = next(exp(lab, kind).rglob("hyp.jsonl"))
    undisturbed = {name: (output.parent / name).read_bytes() for name in ("hyp.jsonl", "text")}

    slow = (lab.root / "conf" / "x.yaml").read_text().replace("batch_size: 3", "batch_size: 1")
    (lab.root / "conf" / "x.yaml").write_text(slow)
    for _ in range(5):  # on a loaded machine it may end between two looks at its answers
        before = killed_in_the_middle(lab, verb, kind, output.parent)
        if before:
            break
    assert before, "it was killed before it had begun"

    part = sorted(exp(lab, "cache", kind).rglob("part-*.lines"))[0]
    first, *rest = part.read_text().splitlines(keepends=True)
    marked = re.sub(r'"s": [0-9.]+', '"s": 1000.0', first)  # its cost is in the record, so it was not decoded again
    part.write_text("".join([marked, *rest, f"{before[0]} {{half a li"]))
    stages(lab, number, number, "--nj", "1")
    assert {name: (output.parent / name).read_bytes() for name in undisturbed} == undisturbed
    assert 1000 <= json.loads((output.parent / "record.json").read_text())["work_s"] < 1900


def test_a_bad_recording_costs_no_other_recording(lab):
    path = lab.root / "data" / "lab" / "train" / "wav.scp"
    rows = dict(line.split(" ", 1) for line in path.read_text().splitlines())
    broken = lab.root / "audio" / "broken.wav"
    broken.write_bytes(Path(rows["rb"]).read_bytes()[:20_000])
    path.write_text("".join(f"{key} {broken if key == 'rb' else audio}\n" for key, audio in rows.items()))
    message = stages(lab, 5, 5, "--nj", "2")
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
    model = ["--model", "exp/x/models/teacher", "--language", "zho"]
    for form in ("srt", "vtt", "json", "txt"):
        done = lab.k2d("transcribe", *model, "--format", form, "--out", str(tmp_path / "out"), str(folder))
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
    jointly = lab.k2d("transcribe", *model, "--mode", "joint", "--format", "json", str(folder / "a talk.wav"))
    assert (jointly.returncode, json.loads(jointly.stdout)["duration_s"]) == (0, 4.5)
    assert (tmp_path / "out" / "a talk.vtt").read_text().startswith("WEBVTT\n\n00:00:")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.wav"], "nowhere.wav: there is no such file"),
        (["--model", "exp/x/models/nobody", "audio/rc.wav"], "exp/x/models/nobody: there is no such model"),
        (["conf"], "conf: a folder without audio"),
    ],
)
def test_a_wrong_call_of_transcribe_is_explained(lab, words, message):
    model = [] if "--model" in words else ["--model", "exp/x/models/teacher"]
    done = lab.k2d("transcribe", *model, *words)
    assert done.returncode in (1, 2)
    assert message in done.stderr
