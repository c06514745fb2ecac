"""Recordings in containers that need ffmpeg are converted once, or reported with the reason."""

import os
import shutil
import subprocess

import pytest
import stand_in_ffmpeg
from made_recordings import flac_bytes, names, sound

from egs.lectures.walk import walk
from k2d.data.audio import probe, resolve
from k2d.data.raw.tally import Tally


def test_containers_are_converted_by_ffmpeg_once_and_kept_as_flac(root, rows, store, tmp_path, monkeypatch):
    calls = stand_in_ffmpeg.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    flac = flac_bytes(tmp_path)
    stand_in_ffmpeg.in_container(root / "a/-talk; touch pwned.m4a", flac)
    stand_in_ffmpeg.in_container(root / "b/talk.webm", flac, "matroska")
    sound(root / "c.wav")
    found = rows(nj=2)["train"]
    assert [row.audio.startswith(f"{store}/converted/") for row in found] == [True, True, False]
    assert [probe(resolve(row.audio)).duration_s for row in found] == [2.0] * 3
    asked = [line.split("\t") for line in calls.read_text().splitlines()]
    assert sorted(words[words.index("-f") + 1] for words in asked) == ["matroska", "mov"]
    assert all(words[words.index("-protocol_whitelist") + 1] == "file" and "-xerror" in words for words in asked)
    assert f"file:{root / 'a/-talk; touch pwned.m4a'}" in {words[words.index("-i") + 1] for words in asked}
    assert rows()["train"] == found
    assert len(calls.read_text().splitlines()) == 2
    stand_in_ffmpeg.in_container(root / "b/talk.webm", flac_bytes(tmp_path, 3.0), "matroska")
    assert [probe(resolve(row.audio)).duration_s for row in rows()["train"]] == [2.0, 3.0, 2.0]
    assert [path for path in store.rglob("*") if ".partial" in path.name] == []


def test_files_without_a_length_are_converted_as_well(root, rows, tmp_path, monkeypatch, caplog):
    """A stored radio stream, joined MP3 files, and a FLAC file that was written to a pipe."""
    stand_in_ffmpeg.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    flac = flac_bytes(tmp_path)
    stand_in_ffmpeg.in_container(root / "stream.mp3", flac, "mp3")
    sound(root / "whole.mp3", format="MP3")
    sound(root / "joined.mp3", format="MP3")
    (root / "joined.mp3").write_bytes(2 * (root / "joined.mp3").read_bytes())
    sound(root / "whole.flac")
    piped = bytearray(flac)
    piped[21] &= 0xF0
    piped[22:26] = bytes(4)
    (root / "piped.flac").write_bytes(piped)
    assert walk(root, Tally("", "")).needs_ffmpeg == {"piped.flac": "flac", "stream.mp3": "mp3", "joined.mp3": "mp3"}
    (root / "piped.flac").unlink()
    (root / "joined.mp3").unlink()
    converted = {row.id.partition("-")[0]: row.audio for row in rows()["train"]}
    assert probe(resolve(converted["stream"])).duration_s == 2.0
    assert converted["stream"].endswith(".flac")


def test_without_ffmpeg_the_files_that_need_it_are_named_with_a_remedy(root, rows, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for n in range(7):
        stand_in_ffmpeg.in_container(root / f"talk{n}.m4a", b"")
    sound(root / "c.wav")
    found = rows()["train"]
    assert len(found) == 8
    (warning,) = [line for line in caplog.messages if "need ffmpeg" in line]
    assert warning.startswith("7 recordings need ffmpeg, which is not there; install it (apt install ffmpeg")
    assert "\n  talk4.m4a\n  … and 2 more" in warning


def test_files_that_ffmpeg_cannot_convert_are_reported_with_its_message(root, rows, tmp_path, monkeypatch, caplog):
    stand_in_ffmpeg.install(tmp_path / "bin", stated_s=30.0)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    stand_in_ffmpeg.in_container(root / "broken.m4a", b"no audio")
    stand_in_ffmpeg.in_container(root / "cut.webm", flac_bytes(tmp_path), "matroska")
    found = rows()["train"]
    assert names(found) == {"broken.m4a", "cut.webm"}
    (warning,) = [line for line in caplog.messages if "could not be converted" in line]
    assert "broken.m4a: ffmpeg says: moov atom not found" in warning
    assert "cut.webm: holds 2.0 s of sound of the 30.0 s that it states" in warning


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg here")
@pytest.mark.parametrize("name", ["talk.m4a", "talk.webm", "talk.wma", "talk.aiff"])
def test_conversion_with_the_real_ffmpeg(root, rows, tmp_path, name):
    source = sound(tmp_path / "made.wav", 4.0)
    root.mkdir()
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(source), str(root / name)], check=True)
    (row,) = rows()["train"]
    assert row.audio.endswith(".flac")
    assert probe(resolve(row.audio)).duration_s == pytest.approx(4.0, abs=0.1)
    (root / name).write_bytes((root / name).read_bytes()[:9000])
    (row,) = rows()["train"]
    assert row.audio.endswith(name)
