"""Audio inside parquet is written to FLAC files once. Audio that cannot be decoded is passed to stage 1."""

import pyarrow
import pyarrow.parquet
import pytest
import soundfile
from made_parquet import AUDIO, clip, tone, wav, write_shard

from k2d.core.errors import K2DError
from k2d.data.audio import AudioError, AudioSource, Cause, probe
from k2d.data.raw import stored_audio
from k2d.data.raw.parquet import open_shard
from k2d.data.raw.stored_audio import rows_with_audio

TYPES = {"id": pyarrow.string(), "audio": AUDIO}


def shard_of(folder, cells, group_rows=2):
    made = [{"id": f"../u{n}", "audio": cell} for n, cell in enumerate(cells)]
    return open_shard(write_shard(folder / "raw" / "test-0.parquet", made, TYPES, group_rows))


def stored(folder, shard, nj=1):
    return list(rows_with_audio([shard], {"id": str}, "audio", folder / "store", nj=nj))


@pytest.mark.slow
def test_every_clip_becomes_one_flac_file_named_by_its_row(tmp_path):
    shard = shard_of(tmp_path, [clip(0.5, n) for n in range(5)])
    rows = stored(tmp_path, shard, nj=2)
    assert [(number, values["id"]) for _, number, values, _ in rows] == [(n, f"../u{n}") for n in range(5)]
    folder = tmp_path / "store" / f"test-0-{shard.digest[:12]}"
    names = [path.relative_to(folder).as_posix() for *_, path in rows]
    assert names == [f"audio-{n // 2:05d}/{n % 2:05d}.flac" for n in range(5)]
    for n, (*_, path) in enumerate(rows):
        samples, rate_hz = soundfile.read(path, dtype="int16")
        assert (soundfile.info(path).format, rate_hz) == ("FLAC", 16_000)
        assert (samples == tone(0.5, n)).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "store"]  # ids lead nowhere


@pytest.mark.slow
def test_a_rerun_writes_nothing_again_and_continues_after_a_stop(tmp_path):
    shard = shard_of(tmp_path, [clip(0.5, n) for n in range(4)])
    paths = [path for *_, path in stored(tmp_path, shard)]
    before = [path.stat().st_mtime_ns for path in paths]
    half = paths[2].parent.rename(paths[2].parent.with_name(f".{paths[2].parent.name}.partial"))
    (half / "00001.flac").write_bytes(b"half a fi")
    assert [path for *_, path in stored(tmp_path, shard)] == paths
    assert [path.stat().st_mtime_ns for path in paths[:2]] == before[:2]
    assert [probe(AudioSource(path)).duration_s for path in paths] == [0.5] * 4
    assert not half.exists()


@pytest.mark.slow
def test_another_revision_is_recognised(tmp_path):
    first = [path for *_, path in stored(tmp_path, shard_of(tmp_path, [clip(0.5, 1)]))]
    second = [path for *_, path in stored(tmp_path, shard_of(tmp_path, [clip(0.7, 2)]))]
    assert first != second
    assert probe(AudioSource(second[0])).duration_s == pytest.approx(0.7)


@pytest.mark.slow
def test_other_rates_and_containers(tmp_path):
    flac, slow = wav(tone(0.5, 3), container="FLAC"), wav(tone(0.5, 4, rate_hz=8_000), 8_000)
    mp3 = wav(tone(0.5, 5, rate_hz=48_000), 48_000, "MP3")
    cells = [{"bytes": content, "path": None} for content in (flac, slow, mp3)]
    paths = [path for *_, path in stored(tmp_path, shard_of(tmp_path, cells))]
    assert paths[0].read_bytes() == flac  # as it came
    assert [probe(AudioSource(path)).sample_rate_hz for path in paths] == [16_000] * 3
    assert [probe(AudioSource(path)).duration_s for path in paths] == pytest.approx([0.5] * 3, abs=0.07)


@pytest.mark.slow
def test_audio_files_are_found_beside_the_parquet_file_only(tmp_path):
    (tmp_path / "raw" / "clips").mkdir(parents=True)
    (tmp_path / "secret.wav").write_bytes(wav(tone(0.5)))
    (tmp_path / "raw" / "linked.wav").symlink_to(tmp_path / "secret.wav")
    (tmp_path / "raw" / "clips" / "a.wav").write_bytes(wav(tone(0.5, 1)))
    (tmp_path / "raw" / "b.wav").write_bytes(wav(tone(0.6, 2)))
    stated = ["clips/a.wav", "/home/somebody/.cache/b.wav", "../secret.wav", "linked.wav", "gone.wav", None]
    shard = shard_of(tmp_path, [{"bytes": None, "path": path} for path in stated])
    paths = [path for *_, path in stored(tmp_path, shard)]
    assert [path.exists() for path in paths] == [True, True, False, False, False, False]
    assert probe(AudioSource(paths[1])).duration_s == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "empty_file"), (b"<html>", "not_audio"), (clip(0.5)["bytes"][:9000], "truncated"), (None, "missing")],
)
@pytest.mark.slow
def test_audio_that_cannot_be_decoded_is_kept_unchanged_with_its_reason(tmp_path, content, reason):
    shard = shard_of(tmp_path, [clip(0.5), {"bytes": content, "path": None}, clip(0.5)])
    paths = [path for *_, path in stored(tmp_path, shard)]
    with pytest.raises(AudioError) as refused:
        probe(AudioSource(paths[1]))
    assert refused.value.reason == reason
    assert probe(AudioSource(paths[2])).duration_s == 0.5


@pytest.mark.slow
def test_damage_within_a_row_group_is_reported_and_finished_clips_are_kept(tmp_path):
    shard = shard_of(tmp_path, [clip(0.5, n) for n in range(4)])
    column = pyarrow.parquet.read_metadata(shard.path).row_group(1).column(1)
    at = column.dictionary_page_offset or column.data_page_offset
    content = bytearray(shard.path.read_bytes())
    content[at : at + 40] = bytes(40)
    shard.path.write_bytes(content)
    with pytest.raises(K2DError, match=r"test-0.parquet: row group 1: its audio could not be written") as stopped:
        stored(tmp_path, shard)
    assert "is damaged" in str(stopped.value)
    whole = [path.name for path in (tmp_path / "store").glob("*/[!.]*")]
    assert whole == ["audio-00000"]


def test_a_full_disk_stops_the_command(tmp_path, monkeypatch):
    """Unlike a clip that cannot be decoded, it is not kept unchanged."""

    def full(path, *_, **__):
        raise AudioError("unwritable", str(path), "cannot be written: No space left on device", cause=Cause.MACHINE)

    monkeypatch.setattr(stored_audio, "write", full)
    with pytest.raises(AudioError, match="No space left on device"):
        stored_audio._write_clip(wav(tone(0.5, 1)), tmp_path / "00000.flac")
