"""Stages 3 and 4: a model is trained from a config, or loaded from a checkpoint, or refused in one sentence."""

import json

import pytest
from commands_here import ExperimentHere
from decoded_project import write_models, write_set
from made_audio import speechlike, write_audio

CONF = """
max_bad: 0.5
corpora: {labelled: [lab/pool], dev: [lab/dev]}
tokens: {vocab_size: 374}
teacher: {language: [zho], model: conf/models/tiny.yaml, training: &training {evaluations: 1, phases: {
  start: {data: utterances, train: encoder, steps: 3, batch_size: 2, flat_start: 0.5},
  windows: {steps: 2, batch_size: 2}}}}
auxiliaries: {base: {language: [zho], seed: 5, model: conf/models/tiny.yaml, training: *training}}
"""

MODEL = """
frontend_conf: {n_fft: 512, hop_length: 320, n_mels: 20}
normalize: global_mvn
encoder: e_branchformer
encoder_conf: {output_size: 16, attention_heads: 2, num_blocks: 1, linear_units: 16, cgmlp_linear_units: 32,
  cgmlp_conv_kernel: 7, merge_conv_kernel: 3, input_layer: conv1d3, attention_layer_type: selfattn,
  pos_enc_layer_type: abs_pos}
decoder: transformer
decoder_conf: {attention_heads: 2, linear_units: 16, num_blocks: 2}
preprocessor_conf: {fs: 16000, speech_length: 10.0, speech_resolution: 0.1}
"""


@pytest.fixture
def lab(tmp_path):
    made = ExperimentHere(tmp_path)
    made.conf.write_text(CONF.replace("conf/models/", f"{tmp_path}/"), encoding="utf-8")
    (tmp_path / "tiny.yaml").write_text(MODEL, encoding="utf-8")
    write_set(tmp_path, "lab/pool", {"pa": 2.0, "pb": 2.5, "pc": 3.0})
    write_set(tmp_path, "lab/dev", {"da": 4.0})
    write_audio(tmp_path / "audio" / "pd.wav", speechlike(2.0))
    return made


@pytest.mark.slow
def test_models_are_trained_and_measured(lab):
    lab.stages(2, 4)
    models = lab.exp / "models"
    for name in ("teacher", "base"):
        files = {path.name for path in (models / name).iterdir()}
        assert files >= {"config.yaml", "model.pth", "tokens.txt", "bpe.model", "params.json", "feats_stats.npz"}
        record = json.loads((models / name / "training.json").read_text())
        assert list(record["error_rates"]) == ["5"]
        assert [phase["steps"] for phase in record["phases"].values()] == [3, 2]
        assert len((models / name / "curves.csv").read_text().splitlines()) == 6
    assert (models / "teacher" / "model.pth").read_bytes() != (models / "base" / "model.pth").read_bytes()
    assert not (lab.exp / "work" / "teacher").exists()
    assert "<zho>" in (models / "teacher" / "tokens.txt").read_text().splitlines()
    assert lab.stages(2, 4).count("done already") == 3


@pytest.mark.slow
def test_a_ready_checkpoint_is_checked_and_used(lab):
    write_models(lab.root / "elsewhere")
    arguments = ["teacher.model=null", f"teacher.checkpoint={lab.root}/elsewhere/teacher"]
    lab.stages(3, 3, *arguments)
    made = lab.exp / "models" / "teacher"
    assert (made / "tokens.txt").read_text() == (lab.root / "elsewhere" / "teacher" / "tokens.txt").read_text()
    weights = lab.root / "elsewhere" / "teacher" / "model.pth"
    weights.write_bytes(weights.read_bytes()[:1000])
    done = lab.k2d("teacher", *arguments, "--force")
    assert done.returncode == 1
    assert "elsewhere/teacher/model.pth" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["teacher.model=null"], "teacher: expected teacher.model (a config under conf/models/, to train it)"),
        (["teacher.model=null", "teacher.checkpoint=no/where"], "teacher.checkpoint: no/where is not there"),
        (["teacher.model=conf/models/none.yaml"], "teacher.model: conf/models/none.yaml is not there"),
    ],
)
@pytest.mark.slow
def test_a_teacher_without_a_source_is_refused_at_once(lab, settings, message):
    done = lab.k2d("teacher", *settings)
    assert done.returncode == 2
    assert message in done.stderr
