"""What stands in a unit's place: done, to do, or made in another way; and what is in its place but unreadable."""

import json

import pytest
from toy_road import toy_road

from k2d.faults import K2DError
from k2d.stages.listing import progress_of
from k2d.stages.road import BY_VERB


@pytest.fixture
def road(tmp_path, monkeypatch):
    return toy_road(tmp_path, monkeypatch)


def listed(road, verb, *overrides, **more):
    return progress_of(BY_VERB[verb], road.job(*overrides, **more))


# --- a stamp that cannot be read ---


@pytest.mark.parametrize("content", [b"", b"\x00" * 900, b'{"recipe": {"stage": "sel'])
def test_an_unreadable_stamp_is_refused_and_force_makes_the_folder_anew(road, content):
    road.run()
    whole = (road.exp / "select" / "a" / "stamp.json").read_bytes()
    (road.exp / "select" / "a" / "stamp.json").write_bytes(content)

    with pytest.raises(K2DError, match=r"select/a\n    its stamp cannot be read \(.+\)\nrun it with --force"):
        road.run("select")
    assert "differs" in listed(road, "select")
    assert "its stamp cannot be read" in listed(road, "select")
    assert "differs" in listed(road, "distill")  # it reads below that stamp

    assert road.run("select", force=True) == ["a"]
    remade = json.loads((road.exp / "select" / "a" / "stamp.json").read_bytes())
    assert remade["recipe"] == json.loads(whole)["recipe"]
    assert road.run() == []  # what was made from it is as it was


def test_what_another_experiment_has_below_an_unreadable_stamp_is_made_here(road):
    road.run("second_opinion", "select")
    (road.exp / "select" / "a" / "stamp.json").write_bytes(bytes(500))
    other = ("name=y", f"reuse={road.exp}")
    assert road.run("second_opinion", "select", overrides=other) == ["a"]
