"""Parquet files of a corpus: reading, and messages about files that cannot be read."""

import pyarrow
import pytest
from made_parquet import AUDIO, clip, write_shard

from k2d.core.errors import K2DError
from k2d.data.raw.parquet import Clip, demand_columns, open_shard, read_clips, read_rows

TYPES = {"id": pyarrow.string(), "text": pyarrow.string(), "seconds": pyarrow.float32(), "audio": AUDIO}


def rows(n):
    return [{"id": f"{i:05d}", "text": f"第 {i} 句", "seconds": 0.5, "audio": clip(0.5, i)} for i in range(n)]


@pytest.fixture
def shard(tmp_path):
    return open_shard(write_shard(tmp_path / "test-00000-of-00001.parquet", rows(7), TYPES, group_rows=3))


def test_rows_are_read_in_order_with_the_requested_columns(shard):
    assert (shard.group_rows, shard.n_rows) == ((3, 3, 1), 7)
    found = list(read_rows(shard, ["text", "id"]))
    assert found[0] == {"text": "第 0 句", "id": "00000"}
    assert [row["id"] for row in found] == [f"{i:05d}" for i in range(7)]


def test_the_audio_of_one_row_group(shard):
    clips = list(read_clips(shard, "audio", 1))
    assert clips == [Clip(clip(0.5, i)["bytes"], None) for i in (3, 4, 5)]


def test_at_most_one_row_group_is_in_memory(tmp_path):
    made = [{"id": str(i), "text": "", "seconds": 3.0, "audio": clip(3.0, i)} for i in range(80)]
    shard = open_shard(write_shard(tmp_path / "large.parquet", made, TYPES, group_rows=8))
    before, most = pyarrow.total_allocated_bytes(), 0
    for group in range(len(shard.group_rows)):
        for _ in read_clips(shard, "audio", group):
            most = max(most, pyarrow.total_allocated_bytes() - before)
    file_bytes = shard.path.stat().st_size
    bound = 2.5 * file_bytes / len(shard.group_rows) + 2 * 2**20  # compressed and not, and what is read ahead
    assert 0 < most < bound < file_bytes


def test_the_digest_depends_on_the_revision_and_not_on_the_path(tmp_path, shard):
    copy = write_shard(tmp_path / "b" / "other.parquet", rows(7), TYPES, group_rows=3)
    assert open_shard(copy).digest == shard.digest
    assert open_shard(write_shard(copy, rows(6), TYPES, group_rows=3)).digest != shard.digest


def test_all_missing_or_wrong_columns_are_reported_together(shard):
    with pytest.raises(K2DError) as stopped:
        demand_columns([shard], {"id": int, "file": str, "speaker": int, "text": Clip, "seconds": float})
    assert str(stopped.value).splitlines() == [
        f"{shard.path}: found the columns id, text, seconds, audio, expected also file, speaker",
        f"{shard.path}: column id: found string, expected whole numbers",
        f"{shard.path}: column text: found string, expected audio (bytes, path)",
        "is this another revision of the corpus? its README names the one to fetch",
    ]


def test_an_empty_cell_is_named(tmp_path):
    made = rows(5)
    made[4]["text"] = None
    shard = open_shard(write_shard(tmp_path / "a.parquet", made, TYPES, group_rows=2))
    with pytest.raises(K2DError, match=r"a\.parquet: row 4: found no text, expected a value"):
        list(read_rows(shard, ["id", "text"]))
    assert len(list(read_rows(shard, ["id"]))) == 5


def pointer(content):
    return b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def without_footer(content):
    n_footer = int.from_bytes(content[-8:-4], "little")
    return content[: -8 - n_footer] + bytes(n_footer) + content[-8:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[: len(content) // 2], r"is cut off: [\d,]+ bytes are there, and its footer is not"),
        (lambda content: content[:3], "is no parquet file: it begins with b'PAR'"),
        (lambda content: b"", "is no parquet file: it begins with b''"),
        (lambda content: b"<html>no such file</html>", "is no parquet file: it begins with b'<html>no'"),
        (pointer, "is a Git LFS pointer, not the file; fetch it with `git lfs pull`"),
        (without_footer, "is damaged: "),
    ],
)
def test_faults_of_a_file_are_reported(shard, change, message):
    shard.path.write_bytes(change(shard.path.read_bytes()))
    with pytest.raises(K2DError, match=message) as stopped:
        open_shard(shard.path)
    assert str(shard.path) in str(stopped.value)


def test_damage_within_the_data_is_found_when_it_is_read(shard):
    content = bytearray(shard.path.read_bytes())
    content[4:600] = bytes(596)
    shard.path.write_bytes(content)
    with pytest.raises(K2DError, match=r"parquet: is damaged: .*fetch it again"):
        list(read_rows(open_shard(shard.path), ["id"]))


def test_a_missing_file_is_reported(tmp_path):
    with pytest.raises(K2DError, match=r"none\.parquet: cannot be read: No such file"):
        open_shard(tmp_path / "none.parquet")
