"""The settings with which each model decodes. The engine depends on the family of the model."""

import logging

import pytest
from in_process import Bench

from k2d.config import load_config
from k2d.core.errors import UsageError
from k2d.inference.decode_job import decode_settings, plan_decoding, plan_long_recordings
from k2d.inference.speed import speed_unit
from k2d.pipeline.runner import make_job
from k2d.stages.decode import models
from k2d.stages.score import _decode
from k2d.stages.second_opinion import units

CONF = """
teacher: {family: whisper, checkpoint: tiny.pt, language: [zh]}
auxiliaries: {base: {language: [zho], decode: joint}}
"""
BY_ENGINE = "decode.engine=ctranslate2"


def job_of(folder, *words, conf=CONF):
    (folder / "x.yaml").write_text(conf, encoding="utf-8")
    return make_job(load_config(folder / "x.yaml", [f"exp={folder / 'exp'}", f"data={folder / 'data'}", *words]))


def works(job):
    auxiliary = job.config.auxiliaries["base"]
    return plan_long_recordings("teacher", job.config.teacher, job), plan_decoding(
        "base", auxiliary, job, mode=auxiliary.decode
    )


def test_beside_a_whisper_teacher_an_espnet_auxiliary_decodes_in_torch(tmp_path):
    teacher, auxiliary = works(job_of(tmp_path, BY_ENGINE, "decode.compute_type=int8"))
    assert (teacher.compute_type, auxiliary.compute_type) == ("int8", None)
    assert (teacher.numbers, auxiliary.numbers) == ("int8 (ctranslate2)", "fp32")


def test_the_engine_changes_nothing_for_models_that_it_cannot_run(tmp_path):
    """Neither its stamps nor its rows' signatures change, so existing hypotheses stay valid."""
    torchs, engines = job_of(tmp_path), job_of(tmp_path, BY_ENGINE)
    before, after = works(torchs), works(engines)
    assert decode_settings(after[1]) == decode_settings(before[1])
    assert decode_settings(after[0]) != decode_settings(before[0])
    assert _decode("base", engines) == _decode("base", torchs)
    assert _decode("teacher", engines) != _decode("teacher", torchs)


def test_precisions_of_torch_are_for_models_in_torch(tmp_path):
    job, plain = job_of(tmp_path, BY_ENGINE, "decode.precision=bf16"), job_of(tmp_path, BY_ENGINE)
    teacher, auxiliary = works(job)
    assert (teacher.numbers, auxiliary.numbers) == ("fp32 (ctranslate2)", "bf16")
    assert decode_settings(teacher) == decode_settings(works(plain)[0])
    assert _decode("teacher", job) == _decode("teacher", plain)
    with pytest.raises(UsageError, match=r"decode\.precision: found .*bf16"):
        only_whisper = CONF.replace("base: {", "base: {family: whisper, checkpoint: tiny.pt, ").replace(
            "[zho], decode: joint", "[zh]"
        )
        job_of(tmp_path, BY_ENGINE, "decode.precision=bf16", conf=only_whisper)


def test_the_engine_is_refused_if_no_model_is_a_whisper(tmp_path):
    conf = "teacher: {language: [zho]}\nauxiliaries: {base: {language: [zho]}}\n"
    with pytest.raises(UsageError) as caught:
        job_of(tmp_path, BY_ENGINE, conf=conf)
    assert "decode.engine" in str(caught.value)
    assert "torch, because ctranslate2 runs only whisper models and no model here is one " in str(caught.value)
    assert "(teacher: espnet_s2t, auxiliaries.base: espnet_s2t)" in str(caught.value)


def test_a_whisper_that_the_engine_cannot_run_is_refused(tmp_path):
    conf = CONF.replace("[zh]", "[zh, en]")
    with pytest.raises(UsageError, match=r"the prompt of teacher is a mean of languages \(zh, en\)"):
        job_of(tmp_path, BY_ENGINE, conf=conf)


def test_the_log_names_the_models_that_still_decode_in_torch(tmp_path, monkeypatch, caplog):
    bench = Bench(tmp_path, monkeypatch, {"ra": "ab"})
    bench.job = job_of(tmp_path, BY_ENGINE)
    logging.getLogger("k2d").propagate = True
    with caplog.at_level(logging.INFO, logger="k2d"):
        assert bench.decode().kept == 1
    assert "teacher: decoded in torch, as ctranslate2 runs only whisper models (its family is fake)" in caplog.text


TWO = """
teacher: {family: whisper, checkpoint: tiny.pt, language: [zh]}
auxiliaries:
  base: {family: whisper, checkpoint: tiny.pt, language: [zh]}
  ctc: {language: [zho], decode: joint}
corpora: {in_domain: [lab/test]}
"""


def work_by_name(job):
    models = {"teacher": job.config.teacher, **job.config.auxiliaries}
    return {name: plan_long_recordings(name, recogniser, job) for name, recogniser in models.items()}


def test_engine_batch_size_and_precision_can_differ_between_models(tmp_path):
    words = ("teacher.decoding.engine=ctranslate2", "teacher.decoding.compute_type=int8", "decode.precision=bf16")
    job = job_of(tmp_path, *words, "auxiliaries.ctc.decoding={batch_size: 3, precision: fp32}", conf=TWO)
    works = work_by_name(job)
    assert {name: work.numbers for name, work in works.items()} == {
        "teacher": "int8 (ctranslate2)",
        "base": "bf16",
        "ctc": "fp32",
    }
    assert {name: work.options["batch_size"] for name, work in works.items()} == {"teacher": 16, "base": 16, "ctc": 3}


def test_a_model_may_stay_in_torch_beside_the_engine_of_the_others(tmp_path):
    works = work_by_name(job_of(tmp_path, BY_ENGINE, "auxiliaries.base.decoding.engine=torch", conf=TWO))
    assert {name: work.compute_type for name, work in works.items()} == {"teacher": "fp32", "base": None, "ctc": None}


def test_students_use_the_engine_of_their_teacher(tmp_path):
    words = ("select.methods.all.rule=none", "teacher.decoding={engine: ctranslate2, batch_size: 5}")
    job = job_of(tmp_path, *words, conf=TWO)
    job.layout.model("all-s1").mkdir(parents=True)
    works = {row: plan_long_recordings(*found, job) for row, found in models(job).items()}
    assert (works["all-s1"].compute_type, works["all-s1"].options["batch_size"]) == ("fp32", 5)
    assert _decode("all-s1", job) == _decode("teacher", job) != _decode("base", job)


def test_stamps_do_not_change_unless_a_model_has_its_own_settings(tmp_path):
    """The keys of the stamps. A batch size of a model's own adds one key, to the record of speed only."""
    plain, own = job_of(tmp_path, conf=TWO), job_of(tmp_path, "teacher.decoding.batch_size=7", conf=TWO)
    before, after = work_by_name(plain), work_by_name(own)
    assert {n: decode_settings(w) for n, w in before.items()} == {n: decode_settings(w) for n, w in after.items()}
    assert "batch_sizes" not in speed_unit(before, "lab/test", plain).settings
    assert speed_unit(after, "lab/test", own).settings["batch_sizes"] == {"teacher": 7, "base": 16, "ctc": 16}
    assert [_decode(name, plain) for name in before] == [_decode(name, own) for name in before]


def test_unsupported_settings_of_models_are_all_reported_with_their_keys(tmp_path):
    words = (
        "auxiliaries.ctc.decoding.engine=ctranslate2",
        "auxiliaries.base.decoding.compute_type=int8",
        "teacher.decoding={engine: ctranslate2, precision: bf16}",
        "teacher.decode=joint",
    )
    with pytest.raises(UsageError) as caught:
        job_of(tmp_path, *words, conf=TWO)
    found = [line.removeprefix("command line: ") for line in str(caught.value).splitlines()]
    assert found == [
        'teacher.decoding.precision: found "bf16", expected teacher.decoding.compute_type, because the engine '
        "of this model is ctranslate2",
        'teacher.decode: found "joint", expected attention, because the engine is ctranslate2',
        'auxiliaries.base.decoding.compute_type: found "int8", expected auxiliaries.base.decoding.precision, because '
        "the engine of this model is torch",
        'auxiliaries.ctc.decoding.engine: found "ctranslate2", expected torch, because ctranslate2 runs only whisper '
        "models (this one is of the family espnet_s2t)",
    ]
    with pytest.raises(UsageError, match=r"teacher\.decoding\.batch_size: found 0, expected at least 1"):
        job_of(tmp_path, "teacher.decoding.batch_size=0", conf=TWO)


def test_an_auxiliary_hears_chunks_at_a_speed_and_nothing_else(tmp_path):
    """Its opinions get another stamp. That of speed 1 has no new key, and test sets are not played faster."""
    plain, fast = (
        job_of(tmp_path, "corpora.unlabelled=[lab/talks]", *words, conf=TWO)
        for words in ((), ("auxiliaries.base.speed=1.1",))
    )
    before, after = ([unit.content.settings for unit in units(job)] for job in (plain, fast))
    assert [settings.pop("speed", None) for settings in after] == [1.1, None]
    assert after == before
    assert work_by_name(fast) == work_by_name(plain)
    for words, fault in (
        (["auxiliaries.base.speed=0.9"], "auxiliaries.base.speed: found 0.9, expected at least 1"),
        (["auxiliaries.base={from: x.text, speed: 1.1}"], "auxiliaries.base.speed: found 1.1, expected 1.0, as the"),
    ):
        with pytest.raises(UsageError) as caught:
            job_of(tmp_path, *words, conf=TWO)
        assert fault in str(caught.value)
