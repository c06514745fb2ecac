"""The command line does not change: a new setting is a field of the config, not an option."""

import argparse

import pytest
from commands_here import k2d

from k2d.__main__ import TOOLS
from k2d.models.published.cli import parser as fetch_parser
from k2d.pipeline.runner import parser
from k2d.pipeline.stage_list import STAGES
from k2d.plan.cli import parser as plan_parser
from k2d.study.cli import parser as study_parser

STAGE_OPTIONS = ["--conf", "--corpus", "--force", "--help", "--max-bad", "--ngpu", "--nj", "--verify", "-h"]


def options(made: argparse.ArgumentParser) -> list[str]:
    return sorted(option for action in made._actions for option in action.option_strings)


def test_every_stage_has_the_same_options_and_no_others():
    for stage in STAGES:
        of_its_own = ["--allow-count-mismatch"] if stage.verb == "prepare" else []
        assert options(parser(stage.verb)) == sorted([*STAGE_OPTIONS, *of_its_own])
    assert len(STAGES) == 14


def test_the_plan_has_these_options():
    expected = ["--conf", "--gpu", "--gpus", "--help", "--hours", "--json", "--throughput", "-h"]
    assert options(plan_parser()) == expected


def test_fetching_has_these_options():
    assert options(fetch_parser()) == ["--help", "--list", "--sources", "--to", "-h"]


def test_the_study_has_these_options():
    assert options(study_parser()) == ["--conf", "--fit", "--help", "--truth", "-h"]


def test_the_verbs_are_these():
    assert list(TOOLS) == ["config", "data", "distance", "compare", "study", "transcribe", "fetch", "plan", "stages"]


@pytest.mark.parametrize("words", [[], ["frobnicate"], ["config", "--frob"], ["tokens", "--nj", "0"], ["data"]])
@pytest.mark.slow
def test_a_wrong_call_exits_with_2(words):
    done = k2d(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_help_of_everything_exits_with_0():
    for verb in TOOLS:
        assert k2d(verb, "--help").returncode == 0
    assert "usage: python -m k2d VERB" in k2d("--help").stdout


@pytest.mark.slow
def test_config_prints_the_settings_in_force():
    assert k2d("config", "--conf", "conf/mini.yaml", "--get", "select.alpha", "select.alpha=0.25").stdout == "0.25\n"
    apart = ("config", "seed=1", "--conf", "conf/mini.yaml", "select.alpha=0.25", "--get", "select.alpha")
    assert k2d(*apart).stdout == "0.25\n"
    wrong = k2d("config", "--get", "select.alhpa")
    assert wrong.returncode == 2
    assert "unknown key 'alhpa'; the known ones are: alpha, max_error, fit, ngram" in wrong.stderr


@pytest.mark.slow
def test_a_missing_stage_is_reported(warm_project):
    warm_project.without_stages()
    done = warm_project.k2d("distill")
    assert done.returncode == 2
    assert "stage 10 (distill) is not built yet" in done.stderr


@pytest.mark.slow
def test_max_bad_comes_from_the_config_and_is_checked(warm_project):
    warm_project.add_toy_stage("tokens", "tokens")
    done = warm_project.k2d("tokens", "--max-bad", "1.5")
    assert done.returncode == 2
    assert "max_bad: found 1.5, expected at most 1" in done.stderr
    assert warm_project.k2d("tokens", "--max-bad", "0.5").returncode == 0
