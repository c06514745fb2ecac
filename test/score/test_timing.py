"""Records of speed are read strictly and compared only under equal conditions."""

import pytest

from k2d.core.errors import K2DError
from k2d.score.timing import Timing, real_time_factor, speed_up, summed
from k2d.score.timing_files import read_timing

RUNS = Timing(200.0, (20.0, 10.0, 30.0), 16, 8, "fp32", "cpu")


def test_the_factor_of_several_runs():
    found = real_time_factor(RUNS)
    assert (found.mean, found.min, found.max) == pytest.approx((0.1, 0.05, 0.15))
    assert (found.runs, found.batch_size, found.device) == (3, 16, "cpu")


def test_speed_up_is_the_quotient_and_needs_equal_conditions():
    fast = real_time_factor(Timing(100.0, (2.0,), 16, 8, "fp32", "cpu"))
    assert speed_up(real_time_factor(RUNS), fast) == pytest.approx(5.0)
    other = real_time_factor(Timing(100.0, (2.0,), 16, 8, "bf16", "cuda"))
    assert speed_up(real_time_factor(RUNS), other) is None


def test_costs_add_by_mean_runs():
    assert summed([RUNS, RUNS]) == Timing(400.0, (40.0,), 16, 8, "fp32", "cpu")
    assert summed([]) is None
    assert summed([RUNS, Timing(1.0, (1.0,), 1, 8, "fp32", "cpu")]) is None


def test_a_record_of_time_is_read(tmp_path, timing):
    timing(tmp_path, 20, 30)
    assert read_timing(tmp_path / "timing.json") == Timing(100.0, (20.0, 30.0), 1, 2, "fp32", "cpu")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting"),
        ("[]", "'list' object"),
        ('{"audio_s": 1.0}', "runs_s"),
        ('{"audio_s": 1.0, "runs_s": []}', "missing 4 required|must be above 0"),
        (
            '{"audio_s": 0, "runs_s": [1], "batch_size": 1, "threads": 1, "dtype": "a", "device": "b"}',
            "audio_s and every one of runs_s must be above 0",
        ),
        (
            '{"audio_s": 1, "runs_s": [NaN], "batch_size": 1, "threads": 1, "dtype": "a", "device": "b"}',
            "must be above 0",
        ),
    ],
)
def test_a_bad_record_is_refused(tmp_path, content, reason):
    (tmp_path / "timing.json").write_text(content)
    with pytest.raises(K2DError, match=f"timing.json: not a record of decoding times .*({reason})"):
        read_timing(tmp_path / "timing.json")
