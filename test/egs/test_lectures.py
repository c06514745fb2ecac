"""A user's folder with all kinds of names, formats and other files. Each file is counted."""

import doctest
import importlib
import logging
import os
import shutil
import unicodedata

import pytest
from made_recordings import names, sound

from egs.lectures.options import Options
from egs.lectures.prepare import prepare
from k2d.core.errors import K2DError
from k2d.data.audio import probe, resolve
from k2d.data.kaldi.ids import id_fault
from k2d.data.raw.files import mark_cache


def test_names_of_all_kinds_become_readable_and_valid_ids(root, rows):
    paths = [
        "ML 2021/第1週/lecture (01) 🎉.wav",
        "ML 2021/第2週/lecture (01) 🎉.wav",
        "🎉.flac",
        "-n.mp3",
        'a b\'s "c".ogg',
    ]
    for path in paths:
        sound(root / path)
    found = rows()["train"]
    assert [row.id.rpartition("-")[0] for row in found] == [
        "n",
        "ML_2021-第1週-lecture_01",
        "ML_2021-第2週-lecture_01",
        "a_b_s_c",
        "recording",
    ]
    assert len({row.id for row in found}) == 5
    assert [id_fault(row.id) for row in found] == [""] * 5
    assert all(row.recording_id == row.speaker == row.id and row.text is None for row in found)
    assert sorted(str(root / path) for path in paths) == sorted(row.audio for row in found)


def test_an_id_does_not_depend_on_other_files_or_the_folders_path(root, rows, store, tmp_path):
    sound(root / "a/talk.wav")
    (before,) = rows()["train"]
    sound(root / "a/talk.flac")
    sound(root / "b/talk.wav")
    assert before in rows()["train"]
    shutil.copytree(root, tmp_path / "moved")
    moved = [row.id for _, row in prepare(tmp_path / "moved", Options(), 1, store)]
    assert moved == [row.id for row in rows()["train"]]


def test_two_names_that_look_alike_are_distinguished(root, rows):
    """A Mac writes é as e and an accent. On Linux, both forms can be names of two files."""
    for form in ("NFC", "NFD"):
        sound(root / unicodedata.normalize(form, "\u00e91.wav"))
    with pytest.raises(K2DError) as caught:
        rows()
    one, two = (unicodedata.normalize(form, "\u00e91.wav") for form in ("NFD", "NFC"))
    message = f"{one} (in Unicode form NFD) and {two} (in Unicode form NFC) would have the same id"
    assert message in str(caught.value)


def test_formats_are_recognised_by_content_and_not_by_suffix(root, rows):
    sound(root / "a.flac", 2.5, 44100, format="FLAC")
    sound(root / "b.MP3", 2.5, 22050, format="MP3")
    sound(root / "c.opus", 2.5, 48000, format="OGG", subtype="OPUS")
    sound(root / "d.wav", 2.5, 8000, format="OGG", subtype="VORBIS")
    sound(root / "e.recording", 2.5, 16000, format="WAV")
    sound(root / "no suffix", 2.5, 16000, format="FLAC")
    found = rows()["train"]
    assert names(found) == {"a.flac", "b.MP3", "c.opus", "d.wav", "e.recording", "no suffix"}
    assert [probe(resolve(row.audio)).duration_s for row in found] == pytest.approx([2.5] * 6, abs=0.06)


def test_other_files_are_ignored_and_counted_by_reason(root, rows, caplog):
    good = sound(root / "good.wav")
    for name in ("._good.wav", ".hidden.wav", ".Trash/x.wav", "@eaDir/x.wav", "__MACOSX/a/x.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(good, root / name)
    for name in ("x.m4a.part", "x.webm.part-Frag3", "y.mp3.crdownload", "y.opus.ytdl", "slides.pdf", "notes", "a.jpg"):
        (root / name).write_bytes(b"\x1aE\xdf\xa3 whatever")
    (root / "notes").write_bytes(b"just words")
    (root / "link.wav").symlink_to(good)
    (root / "away").symlink_to(root.parent)
    (root / "nowhere.wav").symlink_to(root / "nothing")
    (root / "new\nline.wav").write_bytes(good.read_bytes())
    os.mkfifo(root / "pipe.wav")
    with caplog.at_level(logging.INFO, "k2d"):
        assert names(rows()["train"]) == {"good.wav"}
    (files,) = [line for line in caplog.messages if " files = " in line]
    assert files.startswith("lectures: in 18 files = kept 1 + apple_double 1 (such as ")
    for reason, n in {"half_download": 4, "hidden": 2, "link": 3, "no_audio": 3, "no_file": 1, "odd_name": 1,
                      "system_folder": 2}.items():  # fmt: skip
        assert f" + {reason} {n} (such as " in files


def test_names_that_tables_cannot_hold_are_counted_and_reported(root, rows, caplog):
    good = sound(root / "good.wav")
    (root / os.fsdecode(b".hidden\xff")).mkdir()
    (root / "two\nlines.wav").symlink_to(good)
    for name in ("trailing space ", "c1 \x85.wav", os.fsdecode(b"latin \xe9.wav"), "bell\a.wav"):
        shutil.copy(good, root / name)
    with caplog.at_level(logging.INFO, "k2d"):
        assert names(rows()["train"]) == {"good.wav"}
    (files,) = [line for line in caplog.messages if " files = " in line]
    message = (
        "kept 1 + hidden 1 (such as '.hidden\\udcff/') + link 1 (such as 'two\\nlines.wav') + odd_name 4 (such as "
    )
    assert message in files
    assert files.encode().isascii()  # can be printed to a terminal with any names


def test_outputs_of_k2d_below_the_recordings_are_ignored(root, rows):
    sound(root / "good.wav")
    mark_cache(root / "data/raw")
    sound(root / "data/raw/lectures/converted/ab/x.flac")
    assert names(rows()["train"]) == {"good.wav"}


def test_links_are_followed_with_the_option_and_a_circle_ends(root, rows, tmp_path, caplog):
    sound(tmp_path / "disk" / "far.wav")
    sound(root / "near.wav")
    (root / "far").symlink_to(tmp_path / "disk")
    (root / "loop").symlink_to(root)
    (root / "one.wav").symlink_to(tmp_path / "disk" / "far.wav")
    assert names(rows()["train"]) == {"near.wav"}
    with caplog.at_level(logging.INFO, "k2d"):
        assert names(rows(Options(follow_links=True))["train"]) == {"near.wav", "far.wav", "one.wav"}
    assert any("link_to_a_folder_seen 1" in line for line in caplog.messages)


def test_a_damaged_audio_file_is_passed_to_stage_1(root, rows):
    sound(root / "good.wav")
    (root / "empty.wav").write_bytes(b"")
    (root / "page.mp3").write_text("<html>404</html>")
    assert names(rows()["train"]) == {"good.wav", "empty.wav", "page.mp3"}


def test_a_folder_that_cannot_be_read_is_reported(root, rows, monkeypatch):
    sound(root / "a/x.wav")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(K2DError, match=r"these folders cannot be read.*\n.*/a: Permission denied"):
        rows()


@pytest.mark.parametrize("name", ["convert", "info", "names", "table", "yodas2"])
def test_examples(name):
    result = doctest.testmod(importlib.import_module(f"egs.lectures.{name}"))
    assert result.failed == 0
    assert result.attempted >= 1
