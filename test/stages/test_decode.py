"""Stage 11: the models and sets that are decoded, and the models whose speed is measured."""

import pytest

from k2d.config import load_config
from k2d.core.errors import UsageError
from k2d.inference.speed import SpeedRace
from k2d.pipeline.runner import make_job
from k2d.stages.decode import models, units
from k2d.stages.score import SystemScore

CONF = """
corpora: {unlabelled: [lab/train], dev: [lab/dev], in_domain: [lab/test]}
teacher: {language: [zho]}
select: {methods: {all: {rule: none}}}
distill: {seeds: [4, 5]}
"""


def test_ctc_rows_are_added_only_for_models_decoded_in_another_mode(tmp_path):
    auxiliaries = "auxiliaries: {one: {language: [zho], decode: joint}, two: {language: [zho], decode: ctc}}\n"
    (tmp_path / "x.yaml").write_text(f"{CONF}{auxiliaries}decode: {{ctc_rows: true}}\n", encoding="utf-8")
    job = make_job(load_config(tmp_path / "x.yaml", [f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}"]))
    found = {row: (model, recogniser.decode) for row, (model, recogniser) in models(job).items()}
    assert found == {
        "teacher": ("teacher", "attention"),
        "one": ("one", "joint"),
        "two": ("two", "ctc"),
        "teacher_ctc": ("teacher", "ctc"),
        "one_ctc": ("one", "ctc"),
    }


def test_the_speed_of_a_network_is_measured_once_and_on_test_sets(tmp_path):
    found = made_units(tmp_path)
    races = {unit.settings["set"]: list(unit.settings["models"]) for unit in found if "speed_runs" in unit.settings}
    assert races == {"lab/test": ["teacher", "all-s4"]}
    decoded = [(unit.settings["model"], unit.settings["set"]) for unit in found if "model" in unit.settings]
    assert decoded == [(model, name) for model in ("teacher", "all-s4", "all-s5") for name in ("lab/dev", "lab/test")]
    assert not any("speed_runs" in unit.settings for unit in made_units(tmp_path, "score.speed_runs=0"))


def test_speed_can_be_measured_on_some_test_sets_which_changes_no_score(tmp_path):
    two = "corpora.out_domain=[lab/talks]"
    every, some = made_units(tmp_path, two), made_units(tmp_path, two, "score.speed_sets=[lab/talks]")
    names = [[unit.content.set for unit in units if isinstance(unit.content, SpeedRace)] for units in (every, some)]
    assert names == [["lab/test", "lab/talks"], ["lab/talks"]]
    configs = (load_config(tmp_path / "x.yaml", words) for words in ([], ["score.speed_sets=[lab/test]"]))
    plain, limited = (SystemScore("teacher", "lab/test", "in_domain", config, "").settings for config in configs)
    assert plain == limited
    message = r"score\.speed_sets: found .*lab/dev.*, expected one of the test sets \(lab/test\)"
    with pytest.raises(UsageError, match=message):
        made_units(tmp_path, "score.speed_sets=[lab/dev]")


def test_a_new_model_repeats_only_the_timing(tmp_path):
    before, after = (
        made_units(tmp_path),
        made_units(tmp_path, "select.methods={all: {rule: none}, two: {rule: trivial}}"),
    )
    changed = {unit.output: unit for unit in after if unit not in before}
    assert all(unit.is_disposable or unit.settings["model"].startswith("two-s") for unit in changed.values())
    (race,) = (unit for unit in changed.values() if unit.is_disposable)
    assert list(race.settings["models"]) == ["teacher", "all-s4", "two-s4"]


def made_units(tmp_path, *overrides):
    (tmp_path / "x.yaml").write_text(CONF, encoding="utf-8")
    (tmp_path / "exp" / "x" / "models" / "all-s4").mkdir(parents=True, exist_ok=True)
    words = [f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}", *overrides]
    return units(make_job(load_config(tmp_path / "x.yaml", words)))
