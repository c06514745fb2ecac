"""`transcribe FOLDER` reports which files it reads and which it ignores."""

import os

import numpy as np
import pytest
from made_audio import write_audio

from k2d.core.errors import UsageError
from k2d.data.audio import AudioSource, probe
from k2d.decode.audio_files import SUFFIXES, find_audio
from k2d.decode.cli import main


def touch(folder, *names) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(50))


def test_ignored_files_of_a_folder_are_counted_by_suffix_with_a_remedy(tmp_path, capsys):
    touch(tmp_path, "a.wav", "b/C.FLAC", "b/talk one.m4a", "b/two.M4A", "b/z.mp4", "c.aiff")
    (tmp_path / "notes").write_text("of the first lecture")
    (tmp_path / "b" / "a.aiff").mkdir()
    found = find_audio([tmp_path])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.wav", "b/C.FLAC"]
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}: 7 files = 2 to transcribe + 5 left out (2 .m4a, 1 without a suffix, 1 .aiff, 1 .mp4)",
        "Read here are .wav .flac .mp3 .ogg .oga .opus. Convert the others, for instance "
        f"ffmpeg -i '{tmp_path}/b/talk one.m4a' '{tmp_path}/b/talk one.flac'; "
        "the recipe egs/lectures converts whole folders.",
    ]


def test_nothing_is_printed_if_no_file_is_ignored(tmp_path, capsys):
    touch(tmp_path, "a.wav", "b.mp3")
    assert len(find_audio([tmp_path, tmp_path / "a.wav"])) == 2
    assert capsys.readouterr().err == ""


def test_a_folder_without_audio_is_refused_with_a_list_of_its_files(tmp_path):
    touch(tmp_path, "a.m4a", "b.m4a", "c.txt")
    with pytest.raises(UsageError) as caught:
        find_audio([tmp_path])
    message = f"{tmp_path}: a folder without audio: 3 files = 0 to transcribe + 3 left out (2 .m4a, 1 .txt)"
    assert message in str(caught.value)
    assert f"ffmpeg -i {tmp_path}/a.m4a {tmp_path}/a.flac" in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty: a folder without files"):
        find_audio([tmp_path / "empty"])


def test_no_text_is_sent_to_ffmpeg(tmp_path, capsys):
    touch(tmp_path, "a.wav")
    (tmp_path / "a.txt").write_text("words")
    find_audio([tmp_path])
    message = "2 files = 1 to transcribe + 1 left out (1 .txt)\nRead here are .wav .flac .mp3 .ogg .oga .opus.\n"
    assert capsys.readouterr().err == f"{tmp_path}: {message}"


def test_a_broken_link_is_reported_and_not_ignored(tmp_path):
    (tmp_path / "a.wav").symlink_to(tmp_path / "gone.wav")
    assert find_audio([tmp_path]) == [tmp_path / "a.wav"]


def test_a_folder_that_cannot_be_read_is_reported(tmp_path, capsys, monkeypatch):
    touch(tmp_path, "a.wav", "closed/b.wav")
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert find_audio([tmp_path]) == [tmp_path / "a.wav"]
    assert capsys.readouterr().err == f"{tmp_path}/closed: left out, it cannot be read: Permission denied\n"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_each_suffix_belongs_to_a_readable_format(tmp_path, suffix):
    how = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".mp3": ("MP3", None), ".opus": ("OGG", "OPUS")}
    form, subtype = how.get(suffix, ("OGG", "VORBIS"))
    path = write_audio(tmp_path / f"a{suffix}", np.zeros(16_000), format=form, subtype=subtype)
    assert probe(AudioSource(path)).duration_s == 1


def test_transcribe_reports_it_before_the_model_is_loaded(tmp_path, capsys):
    write_audio(tmp_path / "in" / "a.wav", np.zeros(16_000))
    touch(tmp_path / "in", "b.m4a")
    with pytest.raises(UsageError, match="there is no such model"):
        main(["--model", str(tmp_path / "nowhere"), str(tmp_path / "in")])
    assert "2 files = 1 to transcribe + 1 left out (1 .m4a)" in capsys.readouterr().err
