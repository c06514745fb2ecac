"""Splits of long recordings beside those of short ones, as recipes request them."""

import pytest
import soundfile
from made_parquet import tone

from k2d.core.errors import K2DError
from k2d.data.longform import ByTime, Concatenate
from k2d.data.longform_audio import LONG, Asked, with_long
from k2d.data.rows import Utterance


@pytest.fixture
def rows(tmp_path):
    """Three utterances of `test`. The second one's file is not audio."""
    made = []
    for n in range(3):
        path = tmp_path / f"{n}.wav"
        soundfile.write(path, tone(0.5, n), 16_000)
        made.append(("test", Utterance(f"s-{n}", f"s-{n}", str(path), "s", f"第 {n} 句")))
    (tmp_path / "1.wav").write_text("<html>")
    return made


def test_short_splits_come_first_and_bad_audio_is_passed_to_stage_1(rows, tmp_path):
    made = list(with_long(rows, [Asked("test", LONG, Concatenate())], tmp_path / "store"))
    assert made[:3] == rows
    assert made[3] == ("test_long", rows[1][1])  # unchanged: stage 1 will report the reason
    spans = [(row.id, row.recording_id, row.start_s, row.end_s) for _, row in made[4:]]
    assert spans == [("s-0", "long-00001", 0.0, 0.5), ("s-2", "long-00002", 0.0, 0.5)]  # shares of 16 workers
    assert all(split == "test_long" for split, _ in made[3:])


def test_if_all_audio_is_bad_no_long_recording_is_made(rows, tmp_path):
    made = list(with_long(rows[1:2], [Asked("test", LONG, Concatenate())], tmp_path / "store"))
    assert made == [rows[1], ("test_long", rows[1][1])]
    assert not (tmp_path / "store").exists()


def test_several_long_splits_can_be_made_of_one_split(rows, tmp_path):
    def when(row):
        return "ses", 10.0 - int(row.id[-1])

    asked = [Asked("test", LONG, Concatenate(shards=1)), Asked("test", "_sessions", ByTime(), when)]
    made = list(with_long(rows, asked, tmp_path / "store"))
    assert [(split, row.id, row.start_s) for split, row in made[3:] if row.start_s is not None] == [
        ("test_long", "s-0", 0.0),
        ("test_long", "s-2", 0.5),
        ("test_sessions", "s-2", 0.0),
        ("test_sessions", "s-0", 2.0),
    ]


def test_a_missing_split_is_reported(rows, tmp_path):
    asked = [Asked("tset", LONG, Concatenate())]
    with pytest.raises(K2DError, match=r"found no utterances of tset, expected some for tset_long"):
        list(with_long(rows, asked, tmp_path / "store"))


def test_an_input_output_error_is_not_dropped_from_a_long_recording(rows, tmp_path):
    """/proc/self/mem is a regular file. Reading its first byte gives an input/output error."""
    rows[1] = ("test", Utterance("s-1", "s-1", "/proc/self/mem", "s", "x"))
    with pytest.raises(K2DError, match=r"/proc/self/mem: cannot be read: Input/output error"):
        list(with_long(rows, [Asked("test", LONG, Concatenate())], tmp_path / "store"))
