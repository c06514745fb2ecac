"""Stages 9 and 10 on tiny random models: reused outputs, trained parts, counts and refusals."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from decoded_project import write_models, write_set
from made_audio import speechlike, write_audio

from k2d.core.layout import PROJECT_ROOT

CONF = """
max_bad: 0.5
corpora: {unlabelled: [lab/train], labelled: [lab/pool], in_domain: [lab/test]}
teacher: {language: [zho], training: {phases: {windows: {steps: 2, train: decoder, keep_batches: 1}}}}
auxiliaries: {base: {language: [zho]}}
decode: {batch_size: 3, max_tokens: 12}
student: {n_decoder_layers: 1}
select: {methods: {all: {rule: none}, some: {rule: trivial}}}
distill:
  heldout_share: 0.25
  controls: [teacher_more, teacher_self, student_pool]
  teacher_self_of: some
  training: {steps: 4, batch_size: 2, evaluations: 2, checkpoint_every_steps: 1, warmup_steps: 1}
"""

CHUNKS = [("ra", 0.0, 6.0, "<0.00>我們<2.00>"), ("rb", 0.0, 9.0, "<0.00>today<9.00>")]
CHUNKS += [("rb", 12.0, 20.0, "<0.00>我們 today<3.00><4.00>我們<8.00>"), ("rd", 1.0, 5.0, "<0.00>today<4.00>")]


@pytest.fixture
def lab(warm_project):
    """An experiment up to stage 8. The outputs of stages 5 and 8 are written by hand."""
    root = warm_project.root
    (root / "conf" / "x.yaml").write_text(CONF, encoding="utf-8")
    write_set(root, "lab/train", {"ra": 12.0, "rb": 31.0, "rc": 4.5, "rd": 22.0})
    write_set(root, "lab/pool", {"pa": 2.0, "pb": 2.5, "pc": 3.0})
    write_audio(root / "audio" / "t.wav", speechlike(2.0))
    exp = root / "exp" / "x"
    write_models(exp / "models")
    pseudo = exp / "pseudo" / "lab" / "train"
    pseudo.mkdir(parents=True)
    (pseudo / "hyp.jsonl").write_text("".join(_hypothesis(name) for name in ("ra", "rb", "rc", "rd")))
    for method, n_kept in (("all", 4), ("some", 3)):
        _write_kept(exp / "select" / method / "kept" / "lab" / "train", root, CHUNKS[:n_kept])
    return warm_project


def _hypothesis(name: str) -> str:
    segment = {"start_s": 0.0, "end_s": 2.0, "text": "我們 today", "mean_logprob": -0.1, "loop": False}
    return json.dumps({"id": name, "duration_s": 4.5, "segments": [segment], "windows": []}) + "\n"


def _write_kept(folder, root, chunks):
    folder.mkdir(parents=True)
    rows = [(f"{reco}-{n:03d}", reco, start, end, text) for n, (reco, start, end, text) in enumerate(chunks)]
    recordings = sorted({row[1] for row in rows})
    tables = {
        "wav.scp": [f"{reco} {root / 'audio' / reco}.wav" for reco in recordings],
        "segments": [f"{key} {reco} {start} {end}" for key, reco, start, end, _ in rows],
        "text": [f"{key} {text}" for key, _, _, _, text in rows],
        "utt2spk": [f"{key} {reco}" for key, reco, *_ in rows],
        "spk2utt": [f"{r} " + " ".join(key for key, reco, *_ in rows if reco == r) for r in recordings],
    }
    for name, lines in tables.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def run(lab, *words):
    return lab.run("--conf", "conf/x.yaml", "--stage", "9", "--stop-stage", "10", "--nj", "1", *words)


def test_controls_train_on_new_windows_although_the_teacher_kept_encoder_outputs(tmp_path):
    """The teacher's last phase keeps its encoder's outputs. A control that did so would train on silence after them."""
    from k2d.config import load_config
    from k2d.fitting.student_or_control import _pool_phase
    from k2d.pipeline.runner import make_job

    (tmp_path / "x.yaml").write_text(CONF, encoding="utf-8")
    phase = _pool_phase(make_job(load_config(tmp_path / "x.yaml")))
    assert (phase.keep_batches, phase.steps, phase.batch_size) == (0, 4, 2)


@pytest.mark.slow
def test_students_and_controls_are_trained(lab):
    done = run(lab)
    assert done.returncode == 0, done.stdout + done.stderr
    models = lab.root / "exp" / "x" / "models"
    student = json.loads((models / "student_init" / "student.json").read_text())
    assert (student["teacher_layers"], student["layers"]) == (2, [0])
    parts = student["parameters"]
    assert parts["teacher"]["encoder"] == parts["student"]["encoder"]
    assert parts["teacher"]["decoder"] > parts["student"]["decoder"]
    assert "in 2 decoder layers = kept 1 + left_out 1" in done.stdout
    for name in ("all-s1", "some-s1", "teacher_more-s1", "teacher_self-s1", "student_pool-s1"):
        record = json.loads((models / name / "training.json").read_text())
        assert list(record["error_rates"]) == ["2", "4"], name
        curves = (models / name / "curves.csv").read_text().splitlines()
        assert len(curves) == 5
        assert not (lab.root / "exp" / "x" / "work" / name).exists()
    assert curves[0].startswith("phase,step,total_step,loss,ce,kl,")
    assert_only_decoders_changed(models)
    again = run(lab)
    assert again.stdout.count("done already") == 6


def assert_only_decoders_changed(models):
    import torch

    def weights(name):
        return torch.load(models / name / "model.pth", weights_only=True)

    origins = {"all-s1": "student_init", "teacher_more-s1": "teacher", "teacher_self-s1": "teacher"}
    for name, origin in origins.items():
        before, after = weights(origin), weights(name)
        assert before.keys() == after.keys()
        changed = {key for key in before if not torch.equal(before[key], after[key])}
        assert changed
        assert {key.split(".")[0] for key in changed} == {"decoder"}


@pytest.mark.slow
def test_two_processes_train_each_student_and_one_saves_it(lab):
    """As with --ngpu 2: the second process runs the command for one student, while the first holds the locks."""
    assert lab.run("--conf", "conf/x.yaml", "--stage", "9", "--stop-stage", "9").returncode == 0
    script = str(PROJECT_ROOT / "test" / "support" / "stage_two.py")
    words = ("distill", "--conf", "conf/x.yaml", "--nj", "1", "distill.controls=[]")
    done = lab.command(sys.executable, script, *words, cwd=lab.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted((lab.root / "ranks").read_text().split()) == ["0", "1", "1"], "one DDP child for each student"
    for name in ("all-s1", "some-s1"):
        folder = lab.root / "exp" / "x" / "models" / name
        assert list(json.loads((folder / "training.json").read_text())["error_rates"]) == ["2", "4"]
        assert len((folder / "curves.csv").read_text().splitlines()) == 5
        assert (folder / "stamp.json").is_file()
        assert not (lab.root / "exp" / "x" / "work" / name).exists()
    again = lab.k2d(*words)
    assert again.stdout.count("done already") == 2


@pytest.mark.slow
def test_held_out_recordings_are_counted_and_the_same_for_all(lab):
    done = run(lab, "distill.controls=[]")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {}
    for name in ("all-s1", "some-s1"):
        stamp = json.loads((lab.root / "exp" / "x" / "models" / name / "stamp.json").read_text())
        counts[name] = stamp["counts"]
        assert counts[name]["n_in"] == counts[name]["kept"] + sum(counts[name]["dropped"].values())
    assert (counts["all-s1"]["n_in"], counts["some-s1"]["n_in"]) == (4, 3)


@pytest.mark.slow
def test_after_kill_9_the_same_student_is_trained(lab):
    """Stopped at some step of 40 and continued: losses and weights are bit-identical to an undisturbed training."""
    few = ["distill.controls=[]", "select.methods.some=null", "distill.training.steps=40"]
    assert run(lab, *few).returncode == 0
    student = lab.root / "exp" / "x" / "models" / "all-s1"
    undisturbed = {name: (student / name).read_bytes() for name in ("curves.csv", "model.pth")}
    for path in student.iterdir():
        path.unlink()
    words = [sys.executable, "-m", "k2d", "distill", "--conf", "conf/x.yaml", "--nj", "1", *few]  # as many threads
    environment = {**lab.environment, "PYTHONPATH": str(lab.root)}
    running = subprocess.Popen(words, cwd=lab.root, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    work = lab.root / "exp" / "x" / "work" / "all-s1"
    until = time.monotonic() + 120
    while len(list(work.rglob("*.pt"))) < 2 and time.monotonic() < until and running.poll() is None:
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert run(lab, *few).returncode == 0
    assert json.loads((student / "training.json").read_text())["resumed_after"][0] in range(1, 40)
    assert {name: (student / name).read_bytes() for name in undisturbed} == undisturbed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["student.decoder_layers=[0,2]"], "student: decoder layers 0, 2; expected some of 0 to 1"),
        (["student.n_decoder_layers=3"], "student.n_decoder_layers: 3 of a teacher that has 2; ask for fewer"),
    ],
)
@pytest.mark.slow
def test_missing_layers_are_refused(lab, settings, message):
    done = lab.k2d("init_student", "--conf", "conf/x.yaml", *settings)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["select.methods.teacher_more.rule=none"], "select.methods.teacher_more: this name is a control's"),
        (["distill.objective.cross=1.0"], "distill.objective.cross"),
        (["distill.objective.ctc=0.1"], "distill.objective.ctc: found 0.1, expected 0"),
        (["reuse=exp/x"], "expected the folder of another experiment; this is its own folder"),
    ],
)
@pytest.mark.slow
def test_impossible_trainings_are_refused_at_once(lab, settings, message):
    done = lab.k2d("distill", "--conf", "conf/x.yaml", *settings)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_another_experiments_output_is_reused_if_it_is_the_same(lab):
    lab.without_stages()
    lab.add_toy_stage("tokens", "tokens")
    lab.add_toy_stage("teacher", "toy", reads=("tokens",))
    stages = ["--stage", "2", "--stop-stage", "3"]
    assert lab.run("--conf", "conf/x.yaml", *stages).returncode == 0
    other = lab.run("--conf", "conf/x.yaml", *stages, "name=y", "reuse=exp/x")
    assert other.returncode == 0, other.stderr
    assert other.stdout.count(": taken from exp/x/") == 4
    assert "works" not in other.stdout
    assert (lab.root / "exp" / "y" / "toy" / "result").read_text() == "1"
    changed = lab.run("--conf", "conf/x.yaml", *stages, "name=z", "reuse=exp/x", "seed=2")
    assert "taken from" not in changed.stdout  # the copies have other inputs
    assert (lab.root / "exp" / "z" / "toy" / "result").read_text() == "2"
