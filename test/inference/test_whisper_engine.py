"""Stages 3 to 7 and 14 on the Whisper path: labels by both engines, and a student in every format."""

import json
import shutil

import pytest
import soundfile
from commands_here import ExperimentHere
from decoded_project import write_tables
from whisper_tiny import tiny_checkpoint, write_talks

from k2d.config import load_config
from k2d.pipeline.runner import make_job
from k2d.stages.score import _decode

CONF = """
corpora: {unlabelled: [lab/train]}
teacher: {family: whisper, checkpoint: tiny.pt, language: [zh]}
auxiliaries: {base: {family: whisper, checkpoint: tiny.pt, language: [zh]}}
select: {methods: {kd_all: {rule: none}}}
student: {n_decoder_layers: 1, decoder_layers: [0]}
decode: {max_tokens: 60}
export: {formats: [openai, huggingface, ctranslate2], teacher_licence: mit}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The recordings, and the experiment x, which has models of its own."""
    made = ExperimentHere(tmp_path_factory.mktemp("lab"))
    made.conf.write_text(CONF.replace("tiny.pt", str(tiny_checkpoint())), encoding="utf-8")
    paths = write_talks(made.root / "audio")
    lengths_s = {path.stem: soundfile.info(path).duration for path in paths}
    write_tables(made.root / "data" / "lab" / "train", {path.stem: path for path in paths}, lengths_s)
    made.stages(3, 4)
    return made


def texts_of(folder):
    rows = [json.loads(line) for line in (folder / "hyp.jsonl").read_text(encoding="utf-8").splitlines()]
    return {row["id"]: [(s["start_s"], s["end_s"], s["text"]) for s in row["segments"]] for row in rows}


def no_speech_of(folder):
    rows = [json.loads(line) for line in (folder / "hyp.jsonl").read_text(encoding="utf-8").splitlines()]
    return [window["no_speech"] for row in rows for window in row["windows"]]


def test_labels_and_opinions_by_both_engines_and_their_records(lab):
    lab.stages(5, 7)
    by_engine = ("decode.engine=ctranslate2", "name=y")
    printed = lab.stages(3, 7, *by_engine)
    assert printed.count("teacher: converted for CTranslate2 (fp32)") == 1
    assert printed.count("base: converted for CTranslate2 (fp32)") == 1
    torchs, engines = (lab.root / "exp" / name / "pseudo" / "lab" / "train" for name in ("x", "y"))
    assert texts_of(engines) == texts_of(torchs)
    assert sum(map(len, texts_of(torchs).values())) >= 4
    assert all(0 <= p <= 1 for p in no_speech_of(torchs))
    assert no_speech_of(engines) == pytest.approx(no_speech_of(torchs), abs=0.011)
    record = json.loads((engines / "record.json").read_text())
    assert record["engine"].startswith("ctranslate2-4.")
    assert record["precision"] == "fp32 (ctranslate2)"
    assert json.loads((torchs / "record.json").read_text())["engine"] == "torch"
    texts = [(lab.root / "exp" / name / "opinions" / "base" / "lab" / "train" / "text").read_text() for name in "xy"]
    assert texts[0] == texts[1]

    folder = lab.root / "exp" / "y" / "cache" / "ctranslate2" / "teacher" / "fp32"
    assert {"model.bin", "tokenizer.json", "stamp.json"} <= {path.name for path in folder.iterdir()}
    for path in engines.rglob("stamp.json"):
        path.unlink()
    assert "converted" not in lab.stages(5, 5, *by_engine, "--force")


def test_an_engine_is_part_of_a_rows_signature(lab):
    ways = set()
    for words in ([], ["decode.engine=ctranslate2"], ["decode.engine=ctranslate2", "decode.compute_type=int8"]):
        ways.add(_decode("teacher", make_job(load_config(lab.conf, words))))
    assert len(ways) == 3
    assert {way.rpartition("-")[0] for way in ways} == {"beam-1", "ctranslate2-fp32-beam-1", "ctranslate2-int8-beam-1"}


def test_a_student_is_exported_in_all_formats(lab):
    lab.stages(9, 9)
    models = lab.exp / "models"
    shutil.copytree(models / "student_init", models / "kd_all-s1")
    message = lab.stages(14, 14)
    exports = lab.exp / "export" / "kd_all-s1"
    for form, library in (
        ("openai", "openai-whisper"),
        ("huggingface", "transformers"),
        ("ctranslate2", "faster-whisper"),
    ):
        found = json.loads((exports / form / "export.json").read_text())["loaded_back"]
        assert found["library"] == library
        assert found["difference"] < 1e-4
        assert f"kd_all-s1: loaded back in {library}" in message
        card = (exports / form / "README.md").read_text(encoding="utf-8")
        assert card.startswith("---\nlanguage:\n- zh\n- en\nlicense: mit\n")
        assert "layers 0 (from 0) of the 2 of its decoder" in card
    assert "done already, skipped" in lab.stages(14, 14)
