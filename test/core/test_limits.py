"""Numbers in the command line and the config have limits, so that no run is endless."""

import argparse
import importlib

import pytest

from k2d.config import load_config
from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.core.limits import whole_number

MINI = PROJECT_ROOT / "conf" / "mini.yaml"


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.5", "", "x", "٣", "1" * 5000, "10000000000"])
def test_a_number_out_of_range_is_refused_with_the_range(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected a whole number from 1 to 100"):
        whole_number(1, 100)(text)


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        ("k2d.score.cli", ["--ref", "r", "--hyp", "h", "--resamples", "10000000000"], "from 1 to 100,000"),
        ("k2d.score.cli", ["--ref", "r", "--hyp", "h", "--resamples", "0"], "from 1 to 100,000"),
        ("k2d.decode.cli", ["--model", "m", "--beam", "100000", "a.wav"], "from 1 to 100"),
        ("k2d.decode.cli", ["--model", "m", "--beam", "0", "a.wav"], "from 1 to 100"),
        ("k2d.decode.cli", ["--model", "m", "--batch-size", "0", "a.wav"], "from 1 to 4,096"),
        ("k2d.decode.cli", ["--model", "m", "--ctc-weight", "1.5", "a.wav"], "expected a number above 0 and below 1"),
        ("k2d.decode.cli", ["--model", "m", "--ctc-weight", "nan", "a.wav"], "expected a number above 0 and below 1"),
        ("k2d.data.cli", ["validate", "--nj", "1000000", "d"], "from 1 to 1,024"),
        ("k2d.data.cli", ["fix", "--nj", "0", "d"], "from 1 to 1,024"),
        ("k2d.pipeline.listing", ["--conf", "conf/mini.yaml", "decode.beam=100000"], None),
    ],
)
def test_the_command_line_refuses_at_once(module, words, message, capsys):

    with pytest.raises((SystemExit, UsageError)) as refused:
        importlib.import_module(module).main(words)
    if message is not None:
        assert message in capsys.readouterr().err
    else:
        assert "decode.beam: found 100000, expected at most 100" in str(refused.value)


def test_stages_refuse_a_million_processes(capsys):
    from k2d.pipeline.runner import parser

    with pytest.raises(SystemExit):
        parser("chunk").parse_args(["--nj", "1000000"])
    assert "argument --nj: found '1000000', expected a whole number from 1 to 1,024" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("decode.beam=101", "decode.beam: found 101, expected at most 100"),
        ("decode.batch_size=5000", "decode.batch_size: found 5000, expected at most 4096"),
        ("score.bootstrap_resamples=10000000000", "expected at most 100000"),
        ("score.speed_runs=101", "score.speed_runs: found 101, expected at most 100"),
    ],
)
def test_the_config_has_the_same_bounds(setting, message):
    with pytest.raises(UsageError, match=message):
        load_config(MINI, [setting])


@pytest.mark.parametrize("setting", ["decode.beam=100", "score.bootstrap_resamples=100000", "score.speed_runs=0"])
def test_numbers_at_the_bound_are_accepted(setting):
    name, _, value = setting.partition("=")
    section, _, key = name.partition(".")
    assert getattr(getattr(load_config(MINI, [setting]), section), key) == int(value)
