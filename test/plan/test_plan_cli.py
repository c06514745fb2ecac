"""python -m k2d plan."""

import json
from functools import partial

import pytest
import yaml
from commands_here import k2d
from whisper_made import huggingface_config

from k2d.core.layout import PROJECT_ROOT
from k2d.models.whisper.dims import PUBLISHED

CONFS = ["conf/k2d_large_v2.yaml", "conf/k2d_large_v2_authors.yaml"]


@pytest.fixture
def plan(tmp_path):
    """The command, for a project in which nothing is prepared or made yet."""
    return partial(k2d, "plan", f"data={tmp_path / 'data'}", f"exp={tmp_path / 'exp'}")


def planned(plan, *words):
    done = plan("--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("conf", CONFS)
@pytest.mark.slow
def test_the_papers_configs_fit_the_papers_machine(plan, conf):
    found = planned(plan, "--conf", conf, "--hours", "60000", "--gpus", "4")
    assert found["faults"] == []
    assert found["chunks"] == pytest.approx(8e6)
    models = {model["role"]: model for model in found["models"]}
    assert [models[role]["name"] for role in ("teacher", "base")] == ["large-v2", "base"]
    assert models["student"]["parameters"] + models["student"]["fixed"] == 756_220_160
    positions = 448 * 1280 if conf.endswith("authors.yaml") else 0
    assert models["student"]["trainable"] == models["student"]["decoder"] - positions
    writes_audio = any(line["what"] == "6 chunk: audio of its own" for line in found["disk"])
    assert writes_audio == (conf == CONFS[0])  # the paper adds segments up, its code cuts fixed windows


@pytest.mark.slow
def test_a_fine_tuned_teacher_is_planned_by_the_config_of_its_folder(plan, tmp_path):
    """The folder has no weights: only sizes are read."""
    folder = tmp_path / "breeze-asr-25"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(huggingface_config(PUBLISHED["large-v2"])))
    words = ("--conf", "conf/breeze_asr_25.yaml", f"teacher.checkpoint={folder}", "--hours", "60000", "--gpus", "4")
    found = planned(plan, *words)
    assert found["faults"] == []
    models = {model["role"]: model for model in found["models"]}
    assert models["student"]["parameters"] + models["student"]["fixed"] == 756_220_160


@pytest.mark.slow
def test_the_table_names_its_assumptions(plan):
    done = plan("--conf", CONFS[0], "--hours", "60000", "--gpus", "4")
    assert done.returncode == 0, done.stderr
    text = " ".join(done.stdout.split())
    for message in (
        "conf/k2d_large_v2.yaml on 4 × h100",
        "60,000 h of audio, 8,000,000 chunks if all are kept",
        "teacher (large-v2) 1,541.4 634.9 906.5 – 1.9",
        "GiB for stage 10 distill, 64 windows a pass in bf16:",
        "5 × 120,000 × 256",
        "encoders and training at 40% of peak",
        "120,000 steps of 256 on 4 H100 42 16.4 h 0.39 theirs: 16% of peak",
        "opinions of base on 60,000 h, 4 H100 9 5.92 h 0.66",
    ):
        assert message in text


@pytest.mark.slow
def test_without_hours_the_plan_uses_marked_example_hours(plan):
    text = plan("--conf", CONFS[0], "corpora.unlabelled=[nowhere/train]").stdout
    assert "1,000 h of audio (an example: neither --hours nor the data give the hours)" in text


@pytest.mark.slow
def test_the_hours_of_prepared_data_are_used(plan, tmp_path):
    for part in ("train", "test"):
        folder = tmp_path / "data" / "lectures" / part
        folder.mkdir(parents=True)
        (folder / "reco2dur").write_text("a 3600\nb 1800.0\n")
    found = planned(plan, "--conf", CONFS[0], "corpora.in_domain=[lectures/test]", "corpora.out_domain=[]")
    assert found["hours_of_audio"] == 1.5
    assert any(stage["stage"] == "11 decode: teacher" for stage in found["stages"])


@pytest.mark.slow
def test_the_hours_of_unprepared_data_come_from_the_card(plan):
    card = yaml.safe_load((PROJECT_ROOT / "egs" / "mini" / "corpus.yaml").read_text(encoding="utf-8"))
    found = planned(plan, "--conf", CONFS[0], "corpora.unlabelled=[mini/lectures]")
    assert found["hours_of_audio"] == card["expected"]["mini"]["lectures"]["hours"]


@pytest.mark.slow
def test_a_plan_that_cannot_fit_is_refused_before_any_work(plan, tmp_path):
    words = ["--conf", CONFS[0], "--gpu", "rtx4090", "student.freeze_encoder=false"]
    done = plan(*words)
    assert done.returncode == 2
    assert "cannot be carried out:" in done.stderr
    assert "10 distill, 256 windows a pass in bf16: needs" in done.stderr
    assert "GiB of a rtx4090 can be used; what fits: " in done.stderr
    assert "DOES NOT FIT" in done.stdout
    assert not (tmp_path / "exp").exists()
    advice = [word for word in done.stderr.split() if word.startswith("decode.batch_size=")]
    smaller = plan(*words[:-1], "distill.training.accumulate=8", advice[0])
    assert smaller.returncode == 0, smaller.stderr


@pytest.mark.slow
def test_every_precision_of_the_config_is_known(plan):
    half = [planned(plan, "--conf", CONFS[0], f"decode.precision={name}")["stages"] for name in ("bf16", "fp16")]
    assert half[0] == half[1]
    whole = planned(plan, "--conf", CONFS[0], "decode.precision=fp32")["stages"]
    assert whole[0]["device_hours"] > 1.9 * half[0][0]["device_hours"]


@pytest.mark.slow
def test_a_given_throughput_is_marked(plan):
    words = ["--conf", CONFS[0], "--hours", "100", "--gpus", "2", "--throughput", "pseudo_label=50"]
    found = planned(plan, *words, "--throughput", "distill=400")
    stages = {stage["stage"]: stage for stage in found["stages"]}
    assert stages["5 pseudo_label"]["device_hours"] == 2.0
    assert stages["5 pseudo_label"]["wall_hours"] == 1.0
    assert stages["10 distill: learn"]["device_hours"] == pytest.approx(5 * 120_000 * 256 / 400 / 3600)
    assert "× real time, given" in plan(*words).stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--throughput", "labels=3"],
            "--throughput labels=3: expected STAGE=VALUE, a number above 0 for one of t",
        ),
        (["--throughput", "distill=-1"], "--throughput distill=-1: expected STAGE=VALUE, a number above 0"),
        (["--hours", "0"], "--hours 0: expected a number above 0"),
        (["--gpu", "abacus"], "invalid choice: 'abacus'"),
        (["--gpus", "0"], "expected a whole number of at least 1"),
        (["teacher.checkpoint=large-v4"], "teacher.checkpoint: found 'large-v4', expected a published name"),
        (["auxiliaries.base.checkpoint=bass"], "auxiliaries.base.checkpoint: found 'bass'"),
        (["student.n_decoder_layers=33"], "student.n_decoder_layers: found 33, expected at most 32"),
    ],
)
@pytest.mark.slow
def test_a_wrong_call_is_explained_and_exits_with_2(plan, words, message):
    done = plan("--conf", CONFS[0], *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
