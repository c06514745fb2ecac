"""cszs: only the correct clips of the pairs, from complete sets of shards of one revision."""

import pyarrow
import pytest
import soundfile
from made_cszs import TYPES, pair, write_cszs
from made_parquet import tone, write_shard

from egs.cszs.prepare import prepare
from k2d.core.errors import K2DError

LAST = "data/train-00001-of-00002-5167fe20fa182c59.parquet"


def rows_of(root):
    return list(prepare(root, None, 1, root / "store"))


@pytest.mark.slow
def test_the_right_half_becomes_utterances(tmp_path):
    rows = rows_of(write_cszs(tmp_path))
    assert [(split, row.id, row.text, row.language) for split, row in rows] == [
        ("dev", "cszs-dev-00000", "是桂林市one of the key middle schools.", "mixed"),
        ("test", "cszs-test-00000", "为松本市的 means 'for the city'.", "mixed"),
        ("test", "cszs-test-00001", "so what", "en"),
        ("train", "cszs-train-00000", "目前正在爆发的Zika virus epidemic has raised concerns.", "mixed"),
        ("train", "cszs-train-00001", "饭山站 is a train station.", "mixed"),
        ("train", "cszs-train-00002", "皮纹检测 近期.", "zh"),
    ]
    assert {row.speaker for _, row in rows} == {"cszs"}
    samples, rate_hz = soundfile.read(rows[4][1].audio, dtype="int16")
    assert rate_hz == 16_000
    assert (samples == tone(1.1, seed=1)).all()  # of the right clip, bit for bit


@pytest.mark.slow
def test_the_wrong_half_is_never_written(tmp_path):
    rows_of(write_cszs(tmp_path))
    assert len(list((tmp_path / "store").rglob("*.flac"))) == 6


@pytest.mark.slow
def test_a_missing_column_is_named(tmp_path):
    write_cszs(tmp_path)
    types = {name: kind for name, kind in TYPES.items() if name != "correct_file"}
    row = {name: value for name, value in pair("train", 2, "x").items() if name in types}
    write_shard(tmp_path / LAST, [row], types)
    with pytest.raises(K2DError, match=r"train-00001-of-00002\S+: found the columns .*, expected also correct_file"):
        rows_of(tmp_path)


@pytest.mark.slow
def test_a_column_of_another_kind_is_named(tmp_path):
    write_cszs(tmp_path)
    types = {**TYPES, "correct_transcription": pyarrow.int64()}
    write_shard(tmp_path / LAST, [{**pair("train", 2, ""), "correct_transcription": 7}], types)
    with pytest.raises(K2DError, match="column correct_transcription: found int64, expected text"):
        rows_of(tmp_path)


def test_a_cut_shard_is_named(tmp_path):
    write_cszs(tmp_path)
    content = (tmp_path / LAST).read_bytes()
    (tmp_path / LAST).write_bytes(content[: len(content) // 2])
    with pytest.raises(K2DError, match=r"train-00001-of-00002\S+: is cut off: [\d,]+ bytes are there.*fetch it again"):
        rows_of(tmp_path)


def test_missing_and_duplicate_sets_of_shards_are_refused(tmp_path):
    write_cszs(tmp_path)
    (tmp_path / LAST).rename(tmp_path / LAST.replace("5167", "0000"))
    write_shard(tmp_path / LAST, [pair("train", 2, "x")], TYPES)
    with pytest.raises(K2DError, match="a second set of shards for train; keep the files of one revision"):
        rows_of(tmp_path)
    for path in (tmp_path / "data").glob("train-00001*"):
        path.unlink()
    with pytest.raises(K2DError, match="train: 1 of 2 shards are not there: 00001"):
        rows_of(tmp_path)


@pytest.mark.slow
def test_another_kind_of_data_set_is_refused(tmp_path):
    with pytest.raises(K2DError, match="found no parquet files with correct_audio; egs/cszs/README"):
        rows_of(tmp_path)
    write_cszs(tmp_path)
    write_shard(tmp_path / LAST, [{**pair("train", 2, "x"), "correct_file": "data/wrong/2.wav"}], TYPES)
    with pytest.raises(K2DError, match=r"row 0: found the file 'data/wrong/2.wav', expected …/correct/NUMBER.wav"):
        rows_of(tmp_path)


@pytest.mark.slow
def test_its_stages_run_up_to_the_report(walk, tmp_path):
    data = walk("cszs", write_cszs(tmp_path), ["dev", "test"])
    assert (data / "test/utt2lang").read_text() == "cszs-test-00000 mixed\ncszs-test-00001 en\n"
