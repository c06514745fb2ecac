"""Which parquet files belong to which split."""

import logging

import pyarrow
import pytest
from made_parquet import AUDIO, clip, write_shard

from k2d.core.errors import K2DError
from k2d.data.raw.parquet_splits import find_splits

TYPES = {"id": pyarrow.string(), "audio": AUDIO}


def shard(root, name, types=TYPES):
    return write_shard(root / name, [{"id": "a", "audio": clip(0.1)}], types)


def test_shards_are_sorted_by_split_and_number(tmp_path, caplog):
    for name in ("main/train-00001-of-00002.parquet", "main/train-00000-of-00002.parquet"):
        shard(tmp_path, name)
    shard(tmp_path, "main/test-00000-of-00001-0a1b2c.parquet")
    shard(tmp_path, ".cache/huggingface/test-00000-of-00001.parquet")
    shard(tmp_path, "notes.parquet")
    found = {split: [s.path.name for s in shards] for split, shards in find_splits(tmp_path, "audio").items()}
    assert "notes.parquet: left out, it is not named as SPLIT-00000-of-00001.parquet is" in caplog.text
    assert ".cache" not in caplog.text
    assert found == {
        "test": ["test-00000-of-00001-0a1b2c.parquet"],
        "train": ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"],
    }


def test_a_shard_without_audio_is_dropped_and_reported(tmp_path, caplog):
    shard(tmp_path, "test-00000-of-00001-aa.parquet")
    shard(tmp_path, "test-00000-of-00009-bb.parquet", {"id": pyarrow.string()})
    with caplog.at_level(logging.WARNING):
        assert [s.path.name for s in find_splits(tmp_path, "audio")["test"]] == ["test-00000-of-00001-aa.parquet"]
    assert "test-00000-of-00009-bb.parquet: left out, it has no column 'audio'" in caplog.text


def test_missing_and_duplicate_shards_are_reported_together(tmp_path):
    for name in ("train-00001-of-00003.parquet", "test-00000-of-00001-aa.parquet", "test-00000-of-00001-bb.parquet"):
        shard(tmp_path, name)
    with pytest.raises(K2DError) as stopped:
        find_splits(tmp_path, "audio")
    assert "test-00000-of-00001-bb.parquet: a second set of shards for test" in str(stopped.value)
    assert "train: 2 of 3 shards are not there: 00000, 00002; fetch them too" in str(stopped.value)
