"""ASCEND in both of its layouts, including their faults."""

import csv

import pyarrow
import pytest
from made_parquet import AUDIO, clip, write_shard

from egs.ascend.prepare import Options, prepare, tables, variant
from k2d.core.errors import K2DError
from k2d.data.longform import Concatenate

TYPES = {
    "id": pyarrow.string(),
    "path": pyarrow.string(),
    "audio": AUDIO,
    "transcription": pyarrow.string(),
    "duration": pyarrow.float32(),
    "language": pyarrow.string(),
    "original_speaker_id": pyarrow.int64(),
    "session_id": pyarrow.int64(),
    "topic": pyarrow.string(),
}
# split, session, speaker, line, start, duration, text, language: in the corpus's order of rows
SAID = [
    ("train", 1, 1, 24, "3.110", "1.500", "对 我觉得 technology", "mixed"),
    ("train", 1, 2, 26, "5.000", "0.800", "嗯", "zh"),
    ("train", 2, 4, 7, "12.250", "1.000", "so what", "en"),
    ("validation", 3, 5, 9, "0.400", "0.900", "你好", "zh"),
    ("test", 4, 12, 301, "1000.020", "1.200", "你的female friends去说 [UNK]", "mixed"),
    ("test", 4, 11, 299, "998.500", "0.750", "okay", "en"),
    ("test", 4, 12, 297, "990.300", "0.600", "呃 是", "zh"),
]
PLAIN = Options(long_splits=())
SHARDS = {"train": 3, "validation": 1, "test": 1}


def file_name(session, speaker, line, start, duration):
    return f"ses{session}_spk{speaker}_L{line}_{start}_{duration}.wav"


def row(n, values):
    _, session, speaker, _, _, duration, text, language = values
    name = file_name(*values[1:6])
    stated = f"/home/somebody/.cache/datasets/waves/{name}"
    return {
        "id": f"{n:05d}",
        "path": stated if n % 2 else f"waves/{name}",
        "audio": clip(float(duration), n, name),
        "transcription": text,
        "duration": float(duration),
        "language": language,
        "original_speaker_id": speaker,
        "session_id": session,
        "topic": "technology",
    }


def write_parquet(root, types=TYPES, values=SAID):
    for split, n_shards in SHARDS.items():
        rows = [row(n, each) for n, each in enumerate(values) if each[0] == split]
        for k in range(n_shards):
            name = f"{split}-{k:05d}-of-{n_shards:05d}.parquet"
            write_shard(root / "main" / name, [{c: r[c] for c in types} for r in rows[k::n_shards]], types)
    return root


def write_folder(root):
    (root / "dataset").mkdir(parents=True)
    (root / "waves").mkdir()
    for split in SHARDS:
        with (root / "dataset" / f"{split}_metadata.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file_name", "transcription"])
            for n, each in enumerate(SAID):
                if each[0] == split:
                    writer.writerow([f"waves/{file_name(*each[1:6])}", each[6]])
                    (root / "waves" / file_name(*each[1:6])).write_bytes(clip(float(each[5]), n)["bytes"])
    return root


def prepared(root, tmp_path, options=PLAIN):
    return list(prepare(root, options, 1, tmp_path / "store"))


@pytest.fixture
def parquet(tmp_path):
    return write_parquet(tmp_path / "parquet")


@pytest.mark.slow
def test_session_speaker_and_times_come_from_the_names(parquet, tmp_path):
    rows = prepared(parquet, tmp_path)
    assert {split: sum(1 for s, _ in rows if s == split) for split in SHARDS} == {
        "train": 3,
        "validation": 1,
        "test": 3,
    }
    utterances = {r.id: r for _, r in rows}
    first = utterances["ascend-spk12-ses04-01000020-01001220"]
    assert (first.speaker, first.text, first.language) == ("ascend-spk12", "你的female friends去说", "mixed")  # no tag
    assert (first.recording_id, first.start_s, first.end_s) == (first.id, None, None)
    assert utterances["ascend-spk02-ses01-00005000-00005800"].text == "嗯"  # fillers stay


@pytest.mark.slow
def test_both_layouts_give_the_same_utterances(parquet, tmp_path):
    folder = write_folder(tmp_path / "folder")

    def seen(root):
        return sorted((split, r.id, r.speaker, r.text) for split, r in prepared(root, tmp_path))

    def timed(root):
        return sorted(entry for entry in tables(root, Options()) if entry[1] != "utt2row")

    assert seen(parquet) == seen(folder)
    assert timed(parquet) == timed(folder)
    assert ("test", "reco2start", "ascend-spk11-ses04-00998500-00999250", "998.500") in timed(parquet)
    assert ("test", "reco2session", "ascend-spk11-ses04-00998500-00999250", "ascend-ses04") in timed(parquet)


@pytest.mark.slow
def test_the_long_split_follows_the_order_of_rows(parquet, tmp_path):
    options = Options(long_splits=("test",), long=Concatenate(max_s=2.0, shards=1))
    rows = [r for split, r in prepared(parquet, tmp_path, options) if split == "test_long"]
    assert [(r.id[-17:-9], r.recording_id, r.start_s, round(r.end_s, 3)) for r in rows] == [
        ("01000020", "long-00001", 0.0, 1.2),
        ("00998500", "long-00001", 1.2, 1.95),
        ("00990300", "long-00002", 0.0, 0.6),
    ]


@pytest.mark.slow
def test_conversations_in_their_real_order(parquet, tmp_path):
    options = Options(long_splits=(), session_splits=("test", "train"))
    rows = [(split, r) for split, r in prepared(parquet, tmp_path, options) if split.endswith("_sessions")]
    assert [(split, r.recording_id, r.speaker, round(r.start_s, 3), round(r.end_s, 3)) for split, r in rows] == [
        ("test_sessions", "ascend-ses04", "ascend-spk12", 0.0, 0.6),  # from 990.3 s on
        ("test_sessions", "ascend-ses04", "ascend-spk11", 8.2, 8.95),  # from 998.5 s on
        ("test_sessions", "ascend-ses04", "ascend-spk12", 9.72, 10.92),  # from 1000.02 s on
        ("train_sessions", "ascend-ses01", "ascend-spk01", 0.0, 1.5),
        ("train_sessions", "ascend-ses01", "ascend-spk02", 1.89, 2.69),
        ("train_sessions", "ascend-ses02", "ascend-spk04", 0.0, 1.0),
    ]


def test_expected_counts_exist_for_the_defaults_only():
    assert (variant(Options()), variant(Options(long_splits=()))) == ("default", None)


def test_a_missing_column_is_named(tmp_path):
    types = {name: kind for name, kind in TYPES.items() if name != "transcription"}
    with pytest.raises(K2DError, match=r"found the columns id, path, .*, expected also transcription"):
        prepared(write_parquet(tmp_path / "raw", types), tmp_path)


def test_a_missing_column_in_the_older_layout(tmp_path):
    table = write_folder(tmp_path / "raw") / "dataset" / "test_metadata.csv"
    table.write_text("file_name,text\nwaves/a.wav,b\n")
    with pytest.raises(
        K2DError, match=r"test_metadata.csv:1: found the columns file_name, text, expected also transcrip"
    ):
        prepared(tmp_path / "raw", tmp_path)


def test_a_truncated_shard(parquet, tmp_path):
    shard = parquet / "main" / "test-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(K2DError, match=r"test-00000-of-00001\.parquet: is cut off"):
        prepared(parquet, tmp_path)


def test_a_name_of_another_form(tmp_path):
    wrong = [*SAID[:6], ("test", 4, 12, "x", "990.300", "0.600", "呃", "zh")]
    message = r"00001\.parquet: row 2: the file name .* is not of the form sesS_spkK_Lline_start_duration\.wav"
    with pytest.raises(K2DError, match=message):
        prepared(write_parquet(tmp_path / "raw", values=wrong), tmp_path)
    folder = write_folder(tmp_path / "folder")
    (folder / "dataset" / "test_metadata.csv").write_text("file_name,transcription\nwaves/x.wav,hi\n")
    with pytest.raises(K2DError, match=r"test_metadata\.csv:2: the file name 'waves/x\.wav' is not"):
        prepared(folder, tmp_path)


def test_another_kind_of_folder_is_refused(tmp_path):
    with pytest.raises(K2DError, match=r"found no parquet files and no \*_metadata\.csv; egs/ascend/README\.md"):
        prepared(tmp_path, tmp_path)


@pytest.mark.slow
def test_other_counts_and_a_duplicate_stop_stage_1(stage_1, tmp_path):
    parquet = write_parquet(tmp_path / "raw", values=[*SAID, SAID[0]])
    done = stage_1("ascend", parquet)
    assert done.returncode == 1
    assert "train: the rows of prepare.py for this split are not a data directory:" in done.stderr
    twice = "two utterances have the id 'ascend-spk01-ses01-00003110-00004610'"
    assert f"{twice}: '{stage_1.data}/raw/ascend/train-" in done.stderr
    assert ".partial" not in done.stderr
    assert done.stderr.count("error: ") == 1
    done = stage_1("ascend", write_parquet(tmp_path / "whole"))
    assert done.returncode == 1
    assert "test: 3 utterances (expected 1,315)" in done.stderr
    assert "--allow-count-mismatch" in done.stderr


@pytest.mark.slow
def test_its_stages_run_up_to_the_report(walk, parquet):
    data = walk("ascend", parquet, ["test_long", "test_sessions"], "prepare.options.ascend.session_splits=[test]")
    languages = (data / "test" / "utt2lang").read_text().split()[1::2]
    assert sorted(languages) == ["en", "mixed", "zh"]
    assert (data / "test" / "utt2row").is_file()
    assert not (data / "test" / "rejected.jsonl").exists()
