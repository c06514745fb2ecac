"""Stage 14 on a tiny random student: the folders, what is on record, and what is refused."""

import json
import shutil
import zipfile

import pytest
import yaml
from commands_here import ExperimentHere
from made_experiment import write_json, write_record, write_score
from models_made import made_recogniser

CONF = """
corpora: {unlabelled: [lab/train], in_domain: [lab/test]}
teacher: {language: [zho], model: conf/models/mini_teacher.yaml}
auxiliaries: {base: {language: [zho]}}
select: {methods: {kd_all: {rule: none}, k2d_composite: {rule: composite}}}
distill: {seeds: [2, 5]}
"""

pytestmark = pytest.mark.slow  # ESPnet takes seconds to import


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The models, made once; each test works on a copy."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("teacher", "kd_all-s2", "k2d_composite-s2", "k2d_composite-s5")):
        made_recogniser(folder.with_name("made") / name, seed=seed, num_blocks=2).save(folder / name)
    write_json(folder / "student_init" / "student.json", {"teacher_layers": 3, "layers": [0, 2], "parameters": {}})
    return folder


@pytest.fixture
def lab(tmp_path, models):
    made = ExperimentHere(tmp_path)
    made.conf.write_text(CONF, encoding="utf-8")
    shutil.copytree(models, made.exp / "models")
    return made


def export(lab, *words):
    return lab.k2d("export", *words)


def card_of(folder):
    _, block, text = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(block), text


def test_the_first_seed_of_each_method_is_exported_and_loaded_again(lab):
    done = export(lab)
    assert done.returncode == 0, done.stdout + done.stderr
    exports = lab.exp / "export"
    assert sorted(path.name for path in exports.iterdir()) == ["k2d_composite-s2", "kd_all-s2"]
    folder = exports / "kd_all-s2" / "espnet"
    assert {path.name for path in folder.iterdir()} == {"kd_all-s2.zip", "README.md", "export.json", "stamp.json"}
    assert zipfile.is_zipfile(folder / "kd_all-s2.zip")
    found = json.loads((folder / "export.json").read_text())["loaded_back"]
    assert found["library"] == "espnet"
    assert found["difference"] < 1e-4
    assert f"kd_all-s2: loaded back in espnet {found['version']}" in done.stdout
    block, text = card_of(folder)
    assert block["license"] == "unknown"
    assert "model-index" not in block
    assert "It has not been scored on any test set." in text
    assert "done already, skipped" in export(lab).stdout


def test_one_student_can_be_named_and_new_scores_renew_its_card(lab):
    words = ("export.students=[k2d_composite-s5]", "export.teacher_licence=cc-by-4.0")
    assert export(lab, *words).returncode == 0
    folder = lab.exp / "export" / "k2d_composite-s5" / "espnet"
    write_score(lab.exp, "k2d_composite-s5", "lab/test", 0.2)
    write_record(lab.exp, "k2d_composite")
    done = export(lab, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "score/k2d_composite-s5/lab/test/score.json is new" in done.stdout
    block, text = card_of(folder)
    assert block["license"] == "cc-by-4.0"
    assert block["model-index"][0]["results"][0]["metrics"][0]["value"] == 20.0
    assert "layers 0, 2 (from 0) of the 3 of its decoder" in text


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("export.formats=[huggingface]", "expected the formats for students of the family"),
        ("export.students=[kd_all-s1]", "export.students: found kd_all-s1, expected a student of this experiment"),
        ("decode.engine=ctranslate2", "expected torch, because ctranslate2 runs only whisper models"),
    ],
)
def test_unsupported_formats_are_refused_at_once(lab, word, message):
    done = export(lab, word)
    assert done.returncode == 2
    assert message in done.stderr.replace('"', "")
    assert not (lab.exp / "export").exists()


def test_a_student_that_is_not_trained_yet_is_named(lab):
    done = export(lab, "export.students=[kd_all-s5]")
    assert done.returncode == 3
    assert "exp/x/models/kd_all-s5" in done.stderr
