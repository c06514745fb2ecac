"""The meaning of values in wav.scp, and paths that are not regular files."""

import os
import pickle
import socket
import unicodedata

import pytest
from made_audio import speechlike, wav_bytes, write_audio

from k2d.core.layout import PROJECT_ROOT
from k2d.data.audio import AudioError, AudioSource, probe, read, resolve
from k2d.data.audio.source import from_os_error


def reason(value, root):
    with pytest.raises(AudioError) as caught:
        probe(resolve(str(value), root))
    return caught.value.reason


@pytest.mark.parametrize(
    "name", ["with a space.wav", 'it\'s "quoted".wav', "课堂/录音一.wav", "smile😀.wav", "a|b.wav", "$(x);`y`.wav"]
)
def test_odd_paths_work(tmp_path, name):
    write_audio(tmp_path / name, speechlike(0.1))
    assert len(read(resolve(name, tmp_path))) == 1600


def test_a_newline_is_refused(tmp_path):
    (tmp_path / "two\nlines.wav").write_bytes(wav_bytes())
    assert reason("two\nlines.wav", tmp_path) == "bad_path"


@pytest.mark.parametrize(
    ("make", "expected", "words"),
    [
        (lambda p: None, "missing", "there is no such file"),
        (lambda p: p.mkdir(), "not_regular_file", "is a directory"),
        (os.mkfifo, "not_regular_file", "is a named pipe"),
        (lambda p: p.symlink_to("nowhere.wav"), "missing", "is a link to nowhere.wav, which does not exist"),
        (lambda p: p.symlink_to(p.name), "not_regular_file", "symbolic links form a loop"),
        (lambda p: p.symlink_to("/dev/zero"), "not_regular_file", "is a character device"),
        (lambda p: socket.socket(socket.AF_UNIX).bind(p.name), "not_regular_file", "is a socket"),
    ],
    ids=["missing", "directory", "fifo", "dangling", "loop", "dev-zero", "socket"],
)
def test_other_kinds_of_files_are_named_and_never_opened(tmp_path, monkeypatch, make, expected, words):
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short, so it is bound by its bare name
    make(tmp_path / "a.wav")
    monkeypatch.setattr("io.FileIO", None)  # opening it would hang on a FIFO; here it would fail loudly
    with pytest.raises(AudioError, match=words) as caught:
        probe(AudioSource(tmp_path / "a.wav"))
    assert caught.value.reason == expected


def test_a_link_to_a_good_file_is_followed(tmp_path):
    write_audio(tmp_path / "a.wav", speechlike(0.1))
    (tmp_path / "b.wav").symlink_to("a.wav")
    assert probe(resolve("b.wav", tmp_path)).n_frames == 1600


def test_an_unreadable_file_is_reported_with_the_reason(tmp_path):
    error = from_os_error(PermissionError(13, "Permission denied"), AudioSource(tmp_path / "a.wav"))
    assert error.reason == "unreadable"
    assert str(error).endswith("a.wav: cannot be read: Permission denied [unreadable]; check permissions and the disk")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav_bytes())
    (tmp_path / "a.wav").chmod(0)
    assert reason("a.wav", tmp_path) == "unreadable"


@pytest.mark.parametrize("value", ["sox a.wav -t wav - |", "cat a.wav|", " | tee b", "-"])
def test_pipes_are_refused_and_not_run(tmp_path, value):
    assert reason(value, tmp_path) == "pipe"


def test_a_pipe_command_is_never_run(tmp_path):
    assert reason(f"touch {tmp_path}/trace |", tmp_path) == "pipe"
    assert list(tmp_path.iterdir()) == []


def test_tilde_is_refused(tmp_path):
    assert reason("~/a.wav", tmp_path) == "tilde"
    assert reason("~someone/a.wav", tmp_path) == "tilde"


def test_relative_paths_start_at_the_root_and_by_default_at_the_project(tmp_path):
    assert resolve("wav/a.wav", tmp_path).path == tmp_path / "wav" / "a.wav"
    assert resolve("wav/a.wav").path == PROJECT_ROOT / "wav" / "a.wav"
    assert resolve("/corpus/a.wav", tmp_path).path.as_posix() == "/corpus/a.wav"


def test_an_offset_makes_an_archive_entry(tmp_path):
    assert resolve("data/wav.ark:1234", tmp_path) == AudioSource(tmp_path / "data" / "wav.ark", 1234)
    assert str(resolve("/x/wav.ark:1234", tmp_path)) == "/x/wav.ark:1234"


def test_an_existing_file_whose_name_ends_like_an_offset_is_read(tmp_path):
    write_audio(tmp_path / "t 12:30", speechlike(0.1), format="WAV", subtype="PCM_16")
    assert resolve("t 12:30", tmp_path) == AudioSource(tmp_path / "t 12:30")
    assert probe(resolve("t 12:30", tmp_path)).n_frames == 1600


def test_a_kaldi_range_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(AudioError, match=r"put the times into segments") as caught:
        resolve("wav.ark:17[0:10]", tmp_path)
    assert caught.value.reason == "ark_range"


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_value_is_refused(tmp_path, value):
    assert reason(value, tmp_path) == "missing"


def test_an_error_can_be_sent_between_processes():
    error = AudioError("truncated", "a b.wav", "is cut off", "fetch it again")
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (twin.reason, twin.source, twin.message, twin.remedy) == (
        "truncated",
        "a b.wav",
        "is cut off",
        "fetch it again",
    )
    assert str(twin) == "a b.wav: is cut off [truncated]; fetch it again"


@pytest.mark.parametrize(("asked", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_whose_name_looks_the_same_is_reported(tmp_path, asked, there):
    (tmp_path / unicodedata.normalize(there, "\u8ab2 caf\u00e9.wav")).write_bytes(wav_bytes())
    with pytest.raises(AudioError) as caught:
        probe(AudioSource(tmp_path / unicodedata.normalize(asked, "\u8ab2 caf\u00e9.wav")))
    assert caught.value.reason == "missing"
    assert (
        caught.value.message == f"there is no such file: the name is in Unicode form {asked}, that of a file in {there}"
    )
    assert caught.value.remedy == "rename the file, or write its name as it is"
