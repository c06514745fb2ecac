"""Stages 9 and 10 on tiny random models: reused outputs, trained parts, counts and refusals."""

import json
import shutil
import signal
import subprocess
import time

import pytest
from commands_here import ExperimentHere
from decoded_project import write_models, write_set
from made_audio import speechlike, write_audio

from k2d.config import load_config
from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.core.stamp import read_stamp
from k2d.stages.distill import TrainedSystem

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


class Lab:
    """An experiment of a project, and the commands on it."""

    def __init__(self, project, name):
        self.project, self.name, self.exp = project, name, project.root / "exp" / name

    def run(self, first, last, *words):
        stages = ("--stage", str(first), "--stop-stage", str(last), "--nj", "1")
        return self.project.run("--conf", "conf/x.yaml", f"name={self.name}", *stages, *words)

    def start(self, verb, *words):
        command = [self.project.environment["K2D_PYTHON"], "-m", "k2d", verb, "--conf", "conf/x.yaml", "--nj", "1"]
        root, environment = self.project.root, {**self.project.environment, "PYTHONPATH": str(self.project.root)}
        command += [f"name={self.name}", *words]
        return subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def laid_out(shared_project):
    """Data, and an experiment `x` as far as stage 8; what stages 5 and 8 would have written is written by hand."""
    root = shared_project.root
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
    return shared_project


@pytest.fixture
def lab(laid_out, tmp_path):
    """A copy of that experiment."""
    made = Lab(laid_out, tmp_path.name)
    shutil.copytree(laid_out.root / "exp" / "x", made.exp)
    return made


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


def test_controls_train_on_new_windows_although_the_teacher_kept_encoder_outputs(tmp_path):
    """The teacher's last phase keeps its encoder's outputs. A control that did so would train on silence after them."""
    from k2d.fitting.student_or_control import _pool_phase
    from k2d.pipeline.runner import make_job

    (tmp_path / "x.yaml").write_text(CONF, encoding="utf-8")
    phase = _pool_phase(make_job(load_config(tmp_path / "x.yaml")))
    assert (phase.keep_batches, phase.steps, phase.batch_size) == (0, 4, 2)


@pytest.mark.slow
def test_students_and_controls_are_trained(lab):
    done = lab.run(9, 10)
    assert done.returncode == 0, done.stdout + done.stderr
    models = lab.exp / "models"
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
        assert not (lab.exp / "work" / name).exists()
    assert curves[0].startswith("phase,step,total_step,loss,ce,kl,")
    assert_only_decoders_changed(models)
    assert_chunks_are_counted(models)
    again = lab.run(9, 10)
    assert again.stdout.count("done already") == 6


@pytest.mark.slow
def test_students_learn_from_recordings_without_words_too(lab):
    """Stage 6 cuts them; students and the teacher that trains itself learn from them, controls of the pool do not."""
    (lab.exp / "pseudo/lab/train/record.json").write_text('{"window_s": 10.0}')
    quiet = lab.project.root / "data" / "lab" / "quiet"
    write_set(lab.project.root, "lab/quiet", {"qa": 21.5, "qb": 10.5})
    spoken = lab.run(6, 6, "corpora.nonspeech=[lab/quiet]")
    assert "'qa' has words ('我們 today'), but the role of this split is corpora.nonspeech" in spoken.stderr
    (quiet / "text").write_text("qa\nqb\n")
    silent = "corpora.nonspeech=[lab/quiet]"
    done = lab.run(6, 6, silent)
    assert "in 5 windows = kept 4 + too_short 1" in done.stdout + done.stderr
    done = lab.run(9, 10, silent)
    assert done.returncode == 0, done.stdout + done.stderr
    stamps = {
        name: read_stamp(lab.exp / "models" / name).recipe.settings
        for name in ("all-s1", "teacher_self-s1", "student_pool-s1")
    }
    assert {name: stamp.get("nonspeech") for name, stamp in stamps.items()} == {
        "all-s1": ["lab/quiet"],
        "teacher_self-s1": ["lab/quiet"],
        "student_pool-s1": None,
    }
    assert "models/all-s1: in 8 chunks = kept" in done.stdout
    changed = lab.run(10, 10)
    assert changed.returncode != 0
    assert "nonspeech" in changed.stdout + changed.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["distill.nonspeech_per_batch=2"], "distill.nonspeech_per_batch: found 2, expected corpora.nonspeech beside"),
        (
            ["corpora.nonspeech=[lab/quiet]", "distill.nonspeech_per_batch=2"],
            "distill.nonspeech_per_batch: found 2, expected less than distill.training.batch_size (2)",
        ),
        (["corpora={nonspeech: [lab/quiet], unlabelled: []}"], "corpora.unlabelled beside it, whose chunks teach"),
        (["corpora.nonspeech=[lab/pool]"], "one role per split"),
    ],
)
def test_settings_for_recordings_without_words_are_checked(tmp_path, words, message):
    (tmp_path / "x.yaml").write_text(CONF, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_config(tmp_path / "x.yaml", words)
    assert message in str(caught.value)


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


def assert_chunks_are_counted(models):
    """The held-out recordings, which are the same for all, are among what is dropped."""
    for name, n_in in (("all-s1", 4), ("some-s1", 3)):
        counts = json.loads((models / name / "stamp.json").read_text())["counts"]
        assert counts["n_in"] == n_in == counts["kept"] + sum(counts["dropped"].values())


@pytest.mark.slow
def test_two_processes_train_each_student_and_one_saves_it(lab):
    """As with --ngpu 2: the second process runs the command for one student, while the first holds the locks."""
    assert lab.run(9, 9).returncode == 0
    script = str(PROJECT_ROOT / "test" / "support" / "stage_two.py")
    words = ("distill", "--conf", "conf/x.yaml", "--nj", "1", f"name={lab.name}", "distill.controls=[]")
    done = lab.project.command(lab.project.environment["K2D_PYTHON"], script, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted((lab.project.root / "ranks").read_text().split()) == ["0", "1", "1"], "one DDP child for each student"
    for name in ("all-s1", "some-s1"):
        folder = lab.exp / "models" / name
        assert list(json.loads((folder / "training.json").read_text())["error_rates"]) == ["2", "4"]
        assert len((folder / "curves.csv").read_text().splitlines()) == 5
        assert (folder / "stamp.json").is_file()
        assert not (lab.exp / "work" / name).exists()
    again = lab.project.k2d(*words)
    assert again.stdout.count("done already") == 2


@pytest.mark.slow
def test_after_kill_9_the_same_student_is_trained(lab):
    """Stopped at some step of 40 and continued: losses and weights are bit-identical to an undisturbed training."""
    few = ["distill.controls=[]", "select.methods.some=null", "distill.training.steps=40"]
    assert lab.run(9, 10, *few).returncode == 0
    student = lab.exp / "models" / "all-s1"
    undisturbed = {name: (student / name).read_bytes() for name in ("curves.csv", "model.pth")}
    for path in student.iterdir():
        path.unlink()
    running = lab.start("distill", *few)
    work = lab.exp / "work" / "all-s1"
    until = time.monotonic() + 120
    while len(list(work.rglob("*.pt"))) < 2 and time.monotonic() < until and running.poll() is None:
        time.sleep(0.002)
    lab.project.kill_holder(lab.name)
    assert running.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert lab.run(9, 10, *few).returncode == 0
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
def test_missing_layers_are_refused(laid_out, settings, message):
    here = ExperimentHere(laid_out.root)
    here.conf.write_text(CONF, encoding="utf-8")
    done = here.k2d("init_student", *settings)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["select.methods.teacher_more.rule=none"], "select.methods.teacher_more: this name is a control's"),
        (["distill.objective.cross=1.0"], "distill.objective.cross"),
        (["distill.objective.ctc=0.1"], "distill.objective.ctc: found 0.1, expected 0"),
        (["reuse={exp}"], "expected the folder of another experiment; this is its own folder"),
    ],
)
@pytest.mark.slow
def test_impossible_trainings_are_refused_at_once(tmp_path, settings, message):
    here = ExperimentHere(tmp_path)
    here.conf.write_text(CONF, encoding="utf-8")
    done = here.k2d("distill", *(setting.format(exp=here.exp) for setting in settings))
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_another_experiments_output_is_reused_if_it_is_the_same(warm_project):
    warm_project.without_stages()
    warm_project.add_toy_stage("tokens", "tokens")
    warm_project.add_toy_stage("teacher", "toy", reads=("tokens",))
    (warm_project.root / "conf" / "x.yaml").write_text(CONF, encoding="utf-8")
    stages = ["--stage", "2", "--stop-stage", "3"]
    assert warm_project.run("--conf", "conf/x.yaml", *stages).returncode == 0
    other = warm_project.run("--conf", "conf/x.yaml", *stages, "name=y", "reuse=exp/x")
    assert other.returncode == 0, other.stderr
    assert other.stdout.count(": taken from exp/x/") == 4
    assert "works" not in other.stdout
    assert (warm_project.root / "exp" / "y" / "toy" / "result").read_text() == "1"
    changed = warm_project.run("--conf", "conf/x.yaml", *stages, "name=z", "reuse=exp/x", "seed=2")
    assert "taken from" not in changed.stdout  # the copies have other inputs
    assert (warm_project.root / "exp" / "z" / "toy" / "result").read_text() == "2"


def test_controls_of_the_pool_do_not_depend_on_recordings_without_words(tmp_path):
    (tmp_path / "x.yaml").write_text(CONF, encoding="utf-8")
    silent, more = ["corpora.nonspeech=[lab/quiet]", "distill.training.batch_size=4"], "distill.nonspeech_per_batch=2"
    configs = [load_config(tmp_path / "x.yaml", words) for words in (silent, [*silent, more])]
    for name, is_changed in (("all", True), ("teacher_self", True), ("student_pool", False), ("teacher_more", False)):
        one, two = (TrainedSystem(name, 1, config, None).settings for config in configs)
        assert (one != two) == is_changed, name
