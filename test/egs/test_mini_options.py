"""The options of egs/mini: accepted and refused values."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from egs.mini.options import Options, Range
from egs.mini.prepare import variant


def test_a_preset_is_a_set_of_defaults():
    read = TypeAdapter(Options).validate_json
    smoke = read('{"preset": "smoke", "pool": 7}')
    assert (smoke.pool, smoke.event_rate, smoke.lectures.recordings) == (7, 0.0, 4)
    assert smoke == Options(preset="smoke", pool=7)
    assert read("{}") == Options()
    assert read('{"lecture_snr_db": {"low": 0, "high": 5}}').lecture_snr_db == Range(0.0, 5.0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pol": 3}, "pol"),
        ({"pool": 0}, "greater than or equal to 1"),
        ({"random_share": 1.5}, "less than or equal to 1"),
        ({"preset": "maxi"}, "'mini' or 'smoke'"),
        ({"pause_s": {"low": 2, "high": 1}}, "low 2 is above high 1"),
        ({"lectures": {"recordings": 1, "shortest_s": 9, "longest_s": 8}}, "shortest_s 9 is above longest_s 8"),
        ({"pool": "many"}, "valid integer"),
        ({"event_rate": float("nan")}, "finite number|less than or equal|greater than or equal"),
    ],
)
def test_wrong_options_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Options).validate_json(json.dumps(given))


def test_expected_counts_exist_for_an_unchanged_preset():
    assert variant(Options()) == "mini"
    assert variant(Options(preset="smoke")) == "smoke"
    assert variant(Options(seed=3)) is None
    assert variant(Options(pool=7)) is None
