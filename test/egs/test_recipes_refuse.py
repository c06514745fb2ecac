"""Faults of a raw corpus, reported by stage 1: place, found, expected, and remedy."""

import pytest
from made_csdialogue import write, write_csdialogue
from made_cszs import TYPES, pair, write_cszs
from made_parquet import write_shard
from made_seame import write_seame
from made_talcs import write_pool, write_sets

COUNTS = [
    ("seame", write_seame, "devman: 2 utterances (expected 6,531), 0.00 h (expected 7.49)"),
    ("talcs", write_sets, "train: 2 utterances (expected 350,000), 0.00 h (expected 555.90)"),
    ("cszs", write_cszs, "test: 2 utterances (expected 3,176)"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("corpus", "write_raw", "message"), COUNTS, ids=[name for name, *_ in COUNTS])
def test_other_counts_stop_the_stage(stage_1, tmp_path, corpus, write_raw, message):
    done = stage_1(corpus, write_raw(tmp_path))
    assert done.returncode == 1
    assert f"egs/{corpus}/corpus.yaml expects other numbers than were found:" in done.stderr
    assert f"  {message}\n" in done.stderr
    assert "is the raw corpus complete? To continue anyway: --allow-count-mismatch" in done.stderr
    assert not (stage_1.data / corpus).exists()


@pytest.mark.slow
def test_a_split_without_expected_counts_must_exist(stage_1, tmp_path):
    write_csdialogue(tmp_path)
    for name in ("text", "wav.scp"):
        write(tmp_path / "data/index/short_wav/dev" / name, [])
    done = stage_1("csdialogue", tmp_path)
    assert done.returncode == 1
    assert "  dev: is missing\n" in done.stderr


@pytest.mark.slow
def test_a_duplicate_id_in_parquet_is_named(stage_1, tmp_path):
    write_cszs(tmp_path)
    shard = next((tmp_path / "data").glob("train-00001-*"))
    write_shard(shard, [pair("train", 0, "again")], TYPES)
    done = stage_1("cszs", tmp_path, "--allow-count-mismatch")
    assert done.returncode == 1
    assert "two utterances have the id 'cszs-train-00000'" in done.stderr


@pytest.mark.slow
def test_missing_and_bad_audio_are_reported(stage_1, tmp_path):
    write_pool(tmp_path)
    folder = tmp_path / "TAL_CSASR/cs_wav/0/deep"
    (folder / "171007-c0001-0001.wav").unlink()
    (folder / "171007-c0003-0001.wav").write_bytes(b"<html>")
    asked = ("prepare.options.talcs.layout=pool", "--allow-count-mismatch")
    done = stage_1("talcs", tmp_path, *asked)
    assert done.returncode == 1
    assert "all: 2 of 4 items are bad, more than max_bad" in done.stderr
    assert "missing 1, such as 171007-c0001-0001: " in done.stderr
    assert "not_audio 1, such as 171007-c0003-0001: " in done.stderr
    done = stage_1("talcs", tmp_path, *asked, "max_bad=0.5")
    assert done.returncode == 0, done.stderr
    assert "in 4 utterances = kept 2 + missing 1 + not_audio 1" in done.stdout
