"""A family of recognisers is defined by its folder and a line of the registry, and by no other file."""

import ast

import pytest
import torch
import toy_family

from k2d.config import load_config
from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.fitting.new_model import inputs_of, new_recogniser, window_of
from k2d.fitting.teacher_or_auxiliary import unit_of
from k2d.models.codec import Window
from k2d.models.registry import DEFAULT_FAMILY, FAMILIES, family_of, load_recogniser
from k2d.pipeline.runner import make_job
from k2d.plan.reading import shape_of
from k2d.stages import tokens

# Adapters of foreign libraries: a format's file is about the networks that its library has.
ADAPTERS = {
    "k2d/export/ctranslate2.py",
    "k2d/export/espnet.py",
    "k2d/export/formats.py",
    "k2d/export/huggingface.py",
    "k2d/export/openai.py",
}


def outside_of_families():
    for path in sorted((PROJECT_ROOT / "k2d").rglob("*.py")):
        name = str(path.relative_to(PROJECT_ROOT))
        of_a_family = any(name.startswith(f"k2d/models/{family}/") for family in FAMILIES)
        if not of_a_family and name not in ADAPTERS and name != "k2d/models/registry.py":
            yield name, ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_only_files_in_a_familys_folder_name_it():
    names, folders = set(FAMILIES), tuple(f"k2d.models.{family}" for family in FAMILIES)
    for path, tree in outside_of_families():
        for node in ast.walk(tree):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant):
                assert node.value not in names, f"{where} names the family {node.value}"
            elif isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(folders), f"{where} imports {node.module}"
            elif isinstance(node, ast.Import):
                assert not any(alias.name.startswith(folders) for alias in node.names), f"{where} imports a family"


def test_adapters_that_are_excepted_exist():
    assert all((PROJECT_ROOT / name).is_file() for name in ADAPTERS)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(FAMILIES, "toy", toy_family.FAMILY)


def job_of(folder, conf):
    (folder / "x.yaml").write_text(conf, encoding="utf-8")
    return make_job(load_config(folder / "x.yaml", [f"exp={folder / 'exp'}", f"data={folder / 'data'}"]))


def test_a_third_family_can_be_used_in_a_config(toy, tmp_path):
    config = job_of(tmp_path, "teacher: {family: toy, checkpoint: toy-one}\n").config
    assert config.teacher.guesses_language
    assert config.export_formats() == ()
    with pytest.raises(UsageError) as caught:
        job_of(tmp_path, "teacher: {family: tyo}\n")
    assert str(caught.value).endswith("family: found \"tyo\", expected one of 'espnet_s2t' or 'whisper' or 'toy'")
    with pytest.raises(UsageError, match="the formats for students of the family toy: openai"):
        job_of(tmp_path, "teacher: {family: toy}\nexport: {formats: [espnet]}\n")
    with pytest.raises(UsageError, match=r"no model here is one \(teacher: toy\)"):
        job_of(tmp_path, "teacher: {family: toy}\ndecode: {engine: ctranslate2}\n")


def test_a_third_family_is_used_by_its_published_name(toy, tmp_path):
    job = job_of(tmp_path, "teacher: {family: toy, checkpoint: toy-one, language: [xx]}\n")
    unit = unit_of("teacher", job.config.teacher, "teacher", job)
    assert unit.settings == {"name": "teacher", "family": "toy", "language": ["xx"], "checkpoint": "toy-one"}
    assert shape_of("teacher", job.config.teacher, job.config).name == "toy-one"
    job = job_of(tmp_path, "teacher: {family: toy, checkpoint: toy-two}\n")
    with pytest.raises(UsageError, match="a model folder or a file of one, or one of toy-one"):
        unit_of("teacher", job.config.teacher, "teacher", job)
    with pytest.raises(UsageError, match=r"found 'toy-two', expected a \.toy file that exists"):
        shape_of("teacher", job.config.teacher, job.config)


def test_a_third_family_is_trained_without_stage_2(toy, tmp_path):
    model = tmp_path / "toy.yaml"
    model.write_text("width: 1\n", encoding="utf-8")
    job = job_of(tmp_path, f"teacher: {{family: toy, model: {model}, language: [xx]}}\n")
    teacher = job.config.teacher
    unit = unit_of("teacher", teacher, "teacher", job)
    assert unit.inputs == inputs_of(teacher, job) == (model,)
    assert tokens.units(job) == []
    assert window_of(teacher) == Window(1.0, 8000, 0.5)
    made = new_recogniser(teacher, toy_pool(), tmp_path / "work", job, seed=7)
    assert (made.n_texts, made.made_from.languages, made.made_from.seed) == (2, ("xx",), 7)


def toy_pool():
    class Pool(list):
        texts = ("a", "b")

    return Pool()


def test_a_third_family_is_loaded_by_name_or_by_its_file(toy, tmp_path):
    path = tmp_path / "x.toy"
    for words in ({"family": "toy"}, {}):
        loaded = load_recogniser(path, precision="bf16", languages=("xx",), cache="c", **words)
        assert (loaded.path, loaded.dtype, loaded.languages, loaded.cache) == (path, torch.bfloat16, ("xx",), "c")
    assert family_of(tmp_path / "x.none").name == DEFAULT_FAMILY
    with pytest.raises(UsageError, match="models of the family 'tyo' cannot be read; espnet_s2t, whisper, toy can"):
        load_recogniser(path, family="tyo")


@pytest.mark.parametrize("family", FAMILIES.values(), ids=list(FAMILIES))
def test_each_family_supports_what_it_declares(family):
    from k2d.export.formats import FORMATS

    assert set(family.default_formats) <= set(family.export_formats) <= set(FORMATS)
    for name in family.engine_modules:
        engine = family.engine(name)
        assert all(callable(getattr(engine, verb)) for verb in ("write_facts", "check_compute_type", "load"))
    assert family.uses_vocabulary == (type(family).write_vocabulary is not type(family).__mro__[1].write_vocabulary)
