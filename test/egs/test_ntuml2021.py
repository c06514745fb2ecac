"""NTUML2021 as published: dev is a part of test, one shard is outdated, and there are no ids."""

import logging

import pyarrow
import pyarrow.parquet
import pytest
from made_parquet import AUDIO, clip, write_shard

from egs.ntuml2021.prepare import Options, prepare, tables, variant
from k2d.core.errors import K2DError, UsageError
from k2d.data.corpus import Corpus
from k2d.data.longform import Concatenate

TYPES = {
    "audio": AUDIO,
    "transcription": pyarrow.string(),
    "translation": pyarrow.string(),
    "file": pyarrow.string(),
}
TEXT_ONLY = {name: kind for name, kind in TYPES.items() if name != "audio"}
PLAIN = Options(long_splits=())


def row(n, lecture="ML2021_1-1"):
    name = f"{lecture}_{n:04d}.wav"
    return {
        "audio": clip(0.5 + n / 100, n, name),
        "transcription": f"這個 model {n}" if n % 2 else "我們 train 一個 network",
        "translation": "this model",
        "file": f"wav/{lecture}/{name}",
    }


def without(column, rows):
    return [{name: value for name, value in row.items() if name != column} for row in rows]


def write(root, test=range(8), dev=(2, 5), train=range(20, 23), types=TYPES):
    """Write the corpus. The rows of test are not in the order of their names."""
    folder = root / "data"
    order = list(test)[::-1]
    for k, part in enumerate((order[:5], order[5:])):
        write_shard(folder / f"test-{k:05d}-of-00002-aa.parquet", [row(n) for n in part], types, group_rows=2)
    write_shard(folder / "dev-00000-of-00001-bb.parquet", [row(n) for n in dev], types)
    write_shard(folder / "train-00000-of-00001-cc.parquet", [row(n) for n in train], types)
    stale = without("audio", [row(90), row(91)])
    write_shard(folder / "test-00000-of-00001-dd.parquet", stale, TEXT_ONLY)
    return root


def prepared(root, tmp_path, options=PLAIN):
    made = {}
    for split, utterance in prepare(root, options, 1, tmp_path / "store"):
        made.setdefault(split, []).append(utterance)
    return made


def key(n):
    return f"ntuml2021-hyl-ML2021_1-1_{n:04d}"


@pytest.mark.slow
def test_dev_is_within_test_and_test_nodev_is_the_rest(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        made = prepared(write(tmp_path / "raw"), tmp_path)
    assert [row.id for row in made["test"]] == [key(n) for n in range(7, -1, -1)]  # the stale shard is not among them
    assert [row.id for row in made["dev"]] == [key(2), key(5)]
    assert [row.id for row in made["test_nodev"]] == [key(n) for n in (7, 6, 4, 3, 1, 0)]
    assert set(made) == {"dev", "test", "test_nodev"}
    assert "2 of the 8 utterances of test are in dev too" in caplog.text
    assert "test-00000-of-00001-dd.parquet: left out, it has no column 'audio'" in caplog.text
    assert {row.speaker for row in made["test"]} == {"ntuml2021-hyl"}
    assert made["test"][0].text == "這個 model 7"


@pytest.mark.slow
def test_the_same_audio_under_another_name_is_found(tmp_path):
    root = write(tmp_path / "raw")
    renamed = {**row(6), "file": "wav/other/name.wav"}
    write_shard(root / "data" / "dev-00000-of-00001-bb.parquet", [row(2), renamed], TYPES)
    assert [row.id for row in prepared(root, tmp_path)["test_nodev"]] == [key(n) for n in (7, 5, 4, 3, 1, 0)]


@pytest.mark.slow
def test_without_names_the_row_is_the_id(tmp_path):
    root = write(tmp_path / "raw")
    for path in sorted((root / "data").glob("*.parquet")):
        rows = without("file", pyarrow.parquet.read_table(path).to_pylist())
        write_shard(path, rows, {c: kind for c, kind in TYPES.items() if c in rows[0]})
    made = prepared(root, tmp_path)
    assert [row.id for row in made["test"]] == [f"ntuml2021-hyl-test_{n:05d}" for n in range(8)]
    assert len(made["test_nodev"]) == 6  # by its audio


def test_train_is_optional_and_has_its_own_expected_counts():
    assert variant(Options()) == "default"
    assert variant(Options(splits=("train", "dev", "test"))) == "with_train"
    assert variant(PLAIN) is None
    asked = {"splits": ["dev", "test"], "long_splits": ["test_nodev"], "long": {"batch": 100}}
    options = Corpus("ntuml2021").options(asked)
    assert options == Options(("dev", "test"), ("test_nodev",), Concatenate(batch=100))
    with pytest.raises(UsageError, match=r"prepare\.options\.ntuml2021: splits\.0: found 'tset'"):
        Corpus("ntuml2021").options({"splits": ["tset"]})


@pytest.mark.slow
def test_long_recordings_follow_the_order_of_rows(tmp_path):
    root = write(tmp_path / "raw")
    options = Options(long=Concatenate(max_s=1.2, batch=500, shards=1))
    long = prepared(root, tmp_path, options)["test_long"]
    assert [(row.id, row.recording_id) for row in long[:4]] == [
        (key(7), "long-00001"),
        (key(6), "long-00001"),
        (key(5), "long-00002"),
        (key(4), "long-00002"),
    ]
    order = [(k, value) for split, name, k, value in tables(root, options) if (split, name) == ("test", "utt2row")]
    assert order == [(key(7 - n), str(n)) for n in range(8)]


def test_a_missing_split_is_refused(tmp_path):
    root = write(tmp_path / "raw")
    (root / "data" / "dev-00000-of-00001-bb.parquet").unlink()
    with pytest.raises(K2DError, match=r"found no parquet files with audio of dev; egs/ntuml2021/README\.md"):
        prepared(root, tmp_path)


@pytest.mark.slow
def test_shards_missing_cut_off_or_without_a_column(tmp_path):
    root = write(tmp_path / "raw")
    first, second = sorted((root / "data").glob("test-*-of-00002-*"))
    whole = first.read_bytes()
    first.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(K2DError, match=r"test-00000-of-00002-aa\.parquet: is cut off"):
        prepared(root, tmp_path)
    first.unlink()
    with pytest.raises(K2DError, match=r"test: 1 of 2 shards are not there: 00000"):
        prepared(root, tmp_path)
    first.write_bytes(whole)
    kinds = {name: kind for name, kind in TYPES.items() if name != "transcription"}
    write_shard(second, without("transcription", [row(0)]), kinds)
    with pytest.raises(
        K2DError, match=r"00001-of-00002-aa\.parquet: found the columns audio, translation, file, expec"
    ):
        prepared(root, tmp_path)


@pytest.mark.slow
def test_a_duplicate_id_and_counts_that_differ_stop_stage_1(stage_1, tmp_path):
    done = stage_1("ntuml2021", write(tmp_path / "twice", test=[0, 1, 2, 3, 4, 0]))
    assert done.returncode == 1
    assert f"two utterances have the id '{key(0)}'" in done.stderr
    done = stage_1("ntuml2021", write(tmp_path / "raw"))
    assert done.returncode == 1
    assert "test_nodev: 6 utterances (expected 11,919)" in done.stderr


@pytest.mark.slow
def test_its_stages_run_up_to_the_report(walk, tmp_path):
    data = walk("ntuml2021", write(tmp_path / "raw"), ["test_nodev", "test_long"])
    assert len((data / "test_long" / "segments").read_text().splitlines()) == 8
