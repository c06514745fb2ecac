"""The model card: each figure comes from a record, and nothing is stated without one."""

import re

import pytest
import yaml
from made_experiment import CONF, fabricate, write_record, write_score

from k2d.config import load_config
from k2d.export.card import Subject, card
from k2d.export.equivalence import Agreement
from k2d.pipeline.runner import make_job
from k2d.report.stored import read_experiment

NAME = "k2d_composite-s1"
AGREEMENT = Agreement("transformers", "5.23.0", 466_785, 2.4e-6)


def job_in(folder, *words):
    (folder / "made.yaml").write_text(CONF, encoding="utf-8")
    return make_job(load_config(folder / "made.yaml", [f"exp={folder / 'exp'}", *words]))


def card_in(folder, *words, name=NAME, form="huggingface", agreement=AGREEMENT, layers=(0, 31), n_layers=32):
    job = job_in(folder, *words)
    subject = Subject(name, form, job.config, layers, n_layers, agreement)
    written = card(subject, read_experiment(job.config, job.layout))
    head, block, text = written.split("---\n", 2)
    assert head == ""
    return yaml.safe_load(block), text


@pytest.fixture
def whole(tmp_path):
    fabricate(job_in(tmp_path).layout.exp, n_chunks=20, n_with_audio=2)
    return tmp_path


def test_the_metadata_block_has_each_score_of_the_student_and_no_other(whole):
    block, _ = card_in(whole, "export.teacher_licence=mit")
    assert block["license"] == "mit"
    assert block["language"] == ["zh", "en"]
    assert block["library_name"] == "transformers"
    (model,) = block["model-index"]
    assert model["name"] == NAME
    stored = read_experiment(job_in(whole).config, job_in(whole).layout).scores
    values = {each["dataset"]["name"]: each["metrics"][0]["value"] for each in model["results"]}
    mine = {name: score.mer.percent for (system, name), score in stored.items() if system == NAME}
    assert values == {name: round(percent, 2) for name, percent in mine.items() if not name.endswith("_dev")}
    assert len(values) == 4


def test_counts_of_kept_and_dropped_chunks_add_up_under_their_signature(whole):
    _, text = card_in(whole)
    rows = re.findall(r"\| k2d_composite \| (\w+) \| ([\d,]+) \|", text)
    counts = {reason: int(n.replace(",", "")) for reason, n in rows}
    assert sum(counts.values()) == 12_000
    assert "basic-1+t2s\\|phones:gruut-2.4.0\\|oov:letters" in text
    assert "basic-1+t2s\\|tokens:default\\|beam:1\\|set:4f2a" in text
    assert "kd_ngram" not in text
    assert "second opinion: base, largest distance 0.4" in text


def figures_of(text):
    return set(re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", text))


def test_figures_need_a_record(tmp_path):
    """Without records, only settings of the config and the year of the paper remain."""
    _, text = card_in(tmp_path, agreement=None, layers=None, n_layers=None)
    assert "It has not been scored on any test set." in text
    assert "It was not loaded back" in text
    said_by_config = {"0.8", "1", "2"}  # weights of the loss, temperature
    assert figures_of(text) <= said_by_config | {"16"}
    assert "There is no record of its selection" in text


def test_without_a_stated_licence_none_is_named(whole):
    block, text = card_in(whole)
    assert block["license"] == "unknown"
    assert "does not state it (export.teacher_licence): find it out before you share it" in text


def test_names_from_others_are_escaped_and_the_block_stays_yaml(tmp_path):
    exp = job_in(tmp_path).layout.exp
    write_score(exp, NAME, "mini/read_test", 0.1, signature="<script>alert(1)</script>")
    write_record(exp, "k2d_composite")
    block, text = card_in(tmp_path, "export.teacher_licence='other: #see below'")
    assert block["license"] == "other: #see below"
    assert "<script>" not in text


def test_labels_of_another_system_are_not_attributed_to_the_teacher(whole):
    words = ("pseudo_label.from=/home/me/labels.jsonl", "pseudo_label.made_by=Other-ASR", "distill.objective.kl=0")
    _, text = card_in(whole, *words, "distill.objective.ce=1.0")
    assert "The labels are not the teacher's: Other-ASR made them, and they were read from labels.jsonl" in text
    assert "Other-ASR labelled recordings, cut into chunks;" in text
    assert "on these it was trained with the labels (" in text
    assert "trained on another system's labels, not on transcripts by people: it repeats that system's errors" in text
    assert "/home/me" not in text


def test_a_control_is_not_described_as_trained_on_chunks(whole):
    block, text = card_in(whole, "distill.controls=[student_pool]", name="student_pool-s1")
    assert "the control student_pool, trained on labelled speech" in text
    assert "it repeats the teacher's errors" not in text
    assert "model-index" not in block


def test_a_teacher_that_learnt_from_its_own_labels_did(whole):
    words = ["distill.controls=[teacher_self]", "distill.teacher_self_of=k2d_composite"]
    _, text = card_in(whole, *words, name="teacher_self-s1")
    assert (
        "the control teacher_self, the teacher with all of its layers, trained on the chunks of k2d_composite" in text
    )
    assert "it repeats the teacher's errors" in text
    assert "temperature of kl" not in text


@pytest.mark.parametrize("form", ["openai", "huggingface", "ctranslate2"])
@pytest.mark.slow
def test_the_example_for_a_student_that_guesses_its_language_names_none(whole, form):
    _, text = card_in(whole, "teacher.family=whisper", "teacher.checkpoint=large-v2", form=form)
    assert "language=None" in text or '"language": None' in text


def test_the_example_has_the_students_name_and_language(whole):
    _, text = card_in(whole, "teacher.family=whisper", "teacher.language=[zh]", form="openai")
    assert f'whisper.load_model("{NAME}.pt")' in text
    assert 'language="zh"' in text
    assert "loaded back in transformers 5.23.0: 466,785 logits, at most 2.4e-06 from ours" in text
