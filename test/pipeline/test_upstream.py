"""A stage that is started alone uses inputs made with this config, or refuses and names the stage to run again."""

import logging
import shutil
from dataclasses import replace

import pytest
from toy_road import toy_road

from k2d.core.errors import K2DError, UsageError
from k2d.pipeline.job import Settings, Unit
from k2d.pipeline.listing import progress_of
from k2d.pipeline.stage_list import BY_VERB
from k2d.pipeline.upstream import Upstream

OTHER = ("select.alpha=0.2",)


@pytest.fixture
def road(tmp_path, monkeypatch):
    return toy_road(tmp_path, monkeypatch)


def refusal(road, verb, *overrides, **more):
    """The message of a stage that refuses to run. Checks that it has made nothing."""
    with pytest.raises(
        K2DError, match=rf"stage {BY_VERB[verb].number} \({verb}\) reads folders that are damaged"
    ) as caught:
        road.run(verb, overrides=overrides, **more)
    return str(caught.value).replace(f"{road.exp}/", "")


def listed(road, verb, *overrides):
    job = road.job(*overrides)
    return progress_of(BY_VERB[verb], job, Upstream(job)).replace(f"{road.exp}/", "")


# --- settings ---


def test_a_changed_setting_of_the_previous_stage_is_refused_with_a_command(road):
    road.run()
    assert refusal(road, "distill", *OTHER) == (
        "stage 10 (distill) reads folders that are damaged or were made with another config:\n"
        "  select/a\n"
        "    setting alpha: 0.4 -> 0.2\n"
        "run stage 8 (select) again first: ./run.sh select.alpha=0.2 --stage 8 --force\n"
        "or give the experiment another name (name=…, data=… for corpora)"
    )


def test_a_missing_student_is_not_trained_on_outdated_inputs(road):
    road.run("second_opinion", "select")
    refusal(road, "distill", *OTHER)
    assert not (road.exp / "models").exists()
    assert road.stages["distill"].made == []


@pytest.mark.parametrize("verb", ["decode", "score"])
def test_a_changed_setting_of_an_earlier_stage_is_refused(road, verb):
    road.run()
    message = refusal(road, verb, *OTHER)
    assert f"  select/a, from which {'models/a-s1' if verb == 'decode' else 'decode/a/text'} was made\n" in message
    assert "setting alpha: 0.4 -> 0.2" in message


def test_force_does_not_override_it_and_the_message_explains_it(road):
    road.run()
    message = refusal(road, "distill", *OTHER, force=True)
    assert "(--force replaces what stage 10 makes, never what it reads)" in message


def test_after_the_named_command_the_stage_runs(road):
    road.run()
    onwards = ("select", "distill", "decode", "score")
    assert road.run(*onwards, overrides=OTHER, force=True) == ["a", "b", "a-s1", "a", "a"]
    assert road.run(overrides=OTHER) == []


def test_outputs_of_an_earlier_selection_are_refused_after_a_new_selection(road):
    road.run()
    road.run("select", overrides=OTHER, force=True)
    message = refusal(road, "score", *OTHER)
    assert "  models/a-s1, from which decode/a/text was made\n    input select/a has changed\n" in message
    assert "run stage 10 (distill) again first" in message
    assert "select/a, from" not in message  # made with this config


def test_all_outdated_stages_are_reported_and_the_first_is_named(road):
    road.run()
    message = refusal(road, "distill", *OTHER, "decode.beam=2")
    assert "  opinions, from which select/a was made\n    setting beam: " in message
    assert "  select/a\n    setting alpha: 0.4 -> 0.2\n" in message
    assert (
        "run stage 7 (second_opinion) again first: ./run.sh select.alpha=0.2 decode.beam=2 --stage 7 --force" in message
    )


def test_a_new_version_of_an_earlier_stage_is_noticed(road):
    road.run()
    road.stages["select"].VERSION = 2
    assert "code of stage select: version 1 -> 2" in refusal(road, "decode")


def test_only_inputs_of_a_stage_are_checked(road):
    def select(seed_of_b):
        def units(job):
            opinions = (job.layout.exp / "opinions",)
            return [
                Unit(job.layout.exp / "select" / n, Settings({"n": seed_of_b if n == "b" else 0}), opinions)
                for n in "ab"
            ]

        return units

    road.stages["select"].units = select(1)
    road.run()
    road.stages["select"].units = select(2)
    assert road.run("distill", "decode", "score") == []


def test_a_run_of_all_stages_is_never_refused(road):
    road.run()
    assert len(road.run(overrides=(*OTHER, "decode.beam=2"), force=True)) == 6
    assert len(road.run(overrides=("name=y",))) == 6
    assert road.run(overrides=("name=z", f"reuse={road.exp}", *OTHER, "decode.beam=2")) == []


def test_a_disposable_folder_needs_no_force(road):
    def units(job):
        return [Unit(job.layout.exp / "select/a", Settings({"alpha": job.config.select.alpha}), (), is_disposable=True)]

    road.stages["select"].units = units
    road.run()
    message = refusal(road, "distill", *OTHER)
    assert "run stage 8 (select) again first: ./run.sh select.alpha=0.2 --stage 8\n" in message
    assert road.run("select", overrides=OTHER) == ["a"]


# --- what cannot be asked ---


def test_deleted_folders_are_not_checked(road):
    road.run()
    shutil.rmtree(road.exp / "opinions")
    assert road.run("distill", "decode", "score") == []
    assert "setting alpha" in refusal(road, "distill", *OTHER)
    shutil.rmtree(road.exp / "select")
    assert road.run("decode", "score") == []


def test_inputs_of_a_deleted_folder_are_checked(road):
    road.run()
    shutil.rmtree(road.exp / "select")
    assert "  opinions, from which models/a-s1 was made\n" in refusal(road, "decode", "decode.beam=2")


def test_a_folder_that_was_made_by_hand_is_accepted(road):
    road.run("second_opinion", "select")
    (road.exp / "select" / "a" / "stamp.json").unlink()
    assert road.run("distill", overrides=(*OTHER, "decode.beam=2")) == ["a-s1"]


def test_a_unit_whose_settings_cannot_be_computed_is_skipped(road):
    """For example, stage 6 reads the longest chunk from a file of stage 5."""

    def select(job):
        record = job.layout.exp / "opinions" / "text"
        output = job.layout.exp / "select" / "a"
        if record.exists():
            return [Unit(output, Settings({"max_s": 30}))]
        return [Unit(output, Settings({"max_s": None}), (record,))]

    road.stages["select"].units = select
    road.run()
    shutil.rmtree(road.exp / "opinions")
    assert road.run("distill", "decode") == []


def test_an_optional_input_may_be_lost(road):
    def select(job):
        timing = job.layout.exp / "opinions" / "text"
        return [Unit(job.layout.exp / "select" / "a", Settings({}), (timing,) if timing.exists() else ())]

    road.stages["select"].units = select
    road.run()
    shutil.rmtree(road.exp / "opinions")
    assert road.run("distill", "decode") == []


def test_a_stage_whose_units_cannot_be_computed_is_skipped_and_logged(road, caplog):
    road.run()

    def units(job):
        raise UsageError("where is the checkpoint?")

    road.stages["select"].units = units
    with caplog.at_level(logging.INFO, logger="k2d.file"):
        assert road.run("distill", overrides=OTHER) == []
    assert "stage 8 cannot be checked: where is the checkpoint?" in caplog.text


# --- stage 1 ---


@pytest.fixture
def corpora(road):
    """Stage 1 makes two corpora, and stage 7 reads a split of each. Without its root, a corpus cannot be checked."""
    roots = {"mini": "/raw/mini", "lectures": "/raw/lectures"}
    raw = {"mini": "10 files", "lectures": "20 files"}

    def prepare(job):
        names = [job.corpus] if job.corpus else ["mini", "lectures"]
        if lacking := [name for name in names if name not in roots]:
            raise UsageError(f"{lacking[0]}: where is the raw corpus?")
        return [Unit(job.layout.data / name, Settings({"root": roots[name], "raw": raw[name]})) for name in names]

    def make(unit, job, folder):
        (folder / "train").mkdir()
        (folder / "other").mkdir()
        (folder / "train" / "wav.scp").write_text("a a.wav\n")
        (folder / "other" / "text").write_text("a hello\n")
        return road.stages["second_opinion"].make(unit, job, folder)

    def second_opinion(job):
        data = tuple(job.layout.data / name / "train" / "wav.scp" for name in ("mini", "lectures"))
        return [Unit(job.layout.exp / "opinions", Settings({}), data)]

    first = replace(road.stages["second_opinion"], units=prepare, made=[])
    first.make = make
    road.stages["prepare"] = first
    road.stages["second_opinion"].units = second_opinion
    road.both = ("corpora.labelled=[mini/train]", "corpora.unlabelled=[lectures/train]")
    road.run("prepare", "second_opinion", overrides=road.both)
    road.roots, road.raw = roots, raw
    return road


def test_an_outdated_corpus_is_named_with_its_command(corpora):
    corpora.roots["lectures"] = "/raw/elsewhere"
    message = refusal(corpora, "second_opinion", *corpora.both)
    assert '/data/lectures\n    setting root: "/raw/lectures" -> "/raw/elsewhere"\n' in message
    assert "'corpora.unlabelled=[lectures/train]' --corpus lectures --stage 1 --stop-stage 1 --force\n" in message
    refusal(corpora, "second_opinion", *corpora.both, corpus="mini")


def test_a_corpus_without_its_raw_data_is_skipped_and_the_others_are_checked(corpora):
    del corpora.roots["mini"]
    assert corpora.run("second_opinion", overrides=corpora.both) == []
    corpora.roots["lectures"] = "/raw/elsewhere"
    assert "/data/lectures" in refusal(corpora, "second_opinion", *corpora.both)


def test_raw_data_may_grow_during_a_run(corpora):
    corpora.raw["lectures"] = "21 files"
    assert corpora.run("second_opinion", overrides=corpora.both) == []
    with pytest.raises(K2DError, match=r"stage 1 \(prepare\) would replace"):
        corpora.run("prepare", overrides=corpora.both)


def test_an_edited_data_directory_is_refused_and_other_splits_are_not_checked(corpora):
    data = corpora.root / "data" / "mini"
    (data / "other" / "text").write_text("a goodbye\n")
    assert corpora.run("second_opinion", overrides=corpora.both) == []
    (data / "train" / "utt2lang").write_text("a zho\n")
    message = refusal(corpora, "second_opinion", *corpora.both)
    assert "/data/mini\n    train/utt2lang was added\nrun stage 1 (prepare) again first: " in message
    assert "to change data by hand, copy it (python -m k2d data copy) and name the copy in the config" in message


def test_directories_of_the_user_beside_those_of_stage_1_are_accepted(corpora):
    own = corpora.root / "data" / "mini" / "subset"
    own.mkdir()
    (own / "wav.scp").write_text("a a.wav\n")
    corpora.stages["second_opinion"].units = lambda job: [
        Unit(job.layout.exp / "mine", Settings({}), (own / "wav.scp",))
    ]
    assert corpora.run("second_opinion", overrides=corpora.both) == ["mine"]


# --- damage ---


@pytest.mark.parametrize("is_scored", [False, True])
def test_a_text_that_was_edited_by_hand_is_not_scored(road, is_scored):
    road.run("second_opinion", "select", "distill", "decode", *(["score"] if is_scored else []))
    (road.exp / "decode" / "a" / "text").write_text("better than it was")
    assert refusal(road, "score") == (
        "stage 12 (score) reads folders that are damaged or were made with another config:\n"
        "  decode/a\n"
        "    text was edited\n"
        "run stage 11 (decode) again first: ./run.sh --stage 11 --force\n"
        "or restore the files"
    )
    assert road.run("decode", force=True) == ["a"]
    assert road.run() == ([] if is_scored else ["a"])


def test_edited_texts_of_a_model_that_left_the_config_are_not_scored(road):
    road.run()
    (road.exp / "decode" / "a" / "text").write_text("better than it was")
    road.stages["decode"].units = lambda job: []
    assert "run stage 11 (decode) again first" in refusal(road, "score")


def test_a_lost_file_is_made_again_without_force(road):
    road.run()
    (road.exp / "decode" / "a" / "notes").unlink()
    message = refusal(road, "score")
    assert "    notes is missing\nrun stage 11 (decode) again first: ./run.sh --stage 11\n" in message
    assert road.run("decode") == ["a"]


def test_an_unreadable_stamp_of_an_earlier_stage_is_named(road):
    road.run()
    (road.exp / "select" / "a" / "stamp.json").write_bytes(bytes(700))
    message = refusal(road, "distill")
    assert (
        "  select/a\n    its stamp cannot be read (it is empty, as after a power cut)\nrun stage 8 (select)" in message
    )


# --- the list ---


def test_the_list_shows_which_stage_to_run_first(road):
    road.run("second_opinion", "select", "distill")
    assert listed(road, "second_opinion", *OTHER).startswith("done")
    assert listed(road, "select", *OTHER) == "differs: select/a: setting alpha: 0.4 -> 0.2"
    assert listed(road, "distill", *OTHER) == "differs (stage 8: select/a: setting alpha: 0.4 -> 0.2)"
    assert listed(road, "decode", *OTHER) == "to do (stage 8: select/a: setting alpha: 0.4 -> 0.2)"
    assert listed(road, "distill").startswith("done")
    assert listed(road, "decode") == "to do"
