"""Recordings with captions are the test set."""

import logging
import unicodedata

import pytest
from made_recordings import SRT, names, sound

from egs.lectures.options import Options
from k2d.core.errors import K2DError


def test_recordings_with_captions_are_the_test_set(root, rows, caplog):
    for name in ("a/talk.wav", "b/talk.wav", "b/other.wav", "c.flac"):
        sound(root / name)
    (root / "a/talk.srt").write_text(SRT)
    (root / "b/talk.en.vtt").write_text("WEBVTT\n\n00:00.0 --> 00:01.0\nenglish\n")
    (root / "b/talk.zh-TW.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.000\n中文\n")
    (root / "b/lost.srt").write_text(SRT)
    with caplog.at_level(logging.INFO, "k2d"):
        found = rows()
    assert names(found["train"]) == {"other.wav", "c.flac"}
    cues = [(row.recording_id.rpartition("-")[0], row.start_s, row.end_s, row.text) for row in found["test"]]
    assert cues == [
        ("a-talk", 0.2, 1.0, "我們用 model"),
        ("a-talk", 1.2, 1.9, "對 OK"),
        ("b-talk", 0.5, 1.0, "中文"),
    ]
    assert found["test"][0].id == f"{found['test'][0].recording_id}-0000020-0000100"
    assert "lectures: in 4 caption files = kept 2 + not_used 2 (such as b/lost.srt)" in caplog.messages
    assert "lectures: in 3 captions = kept 3" in caplog.messages


@pytest.mark.parametrize("tag", ["", ".zh-TW", ".zh_TW", ".ZH", ".zh-Hant", ".cmn"])
def test_captions_are_found_in_any_unicode_form_of_their_names(root, rows, tag):
    """A Mac writes é as e and an accent. Caption files from other systems do not."""
    sound(root / unicodedata.normalize("NFD", "café/exposé.wav"))
    (root / "café").mkdir(exist_ok=True)
    (root / f"café/exposé{tag}.srt").write_text(SRT)
    assert set(rows()) == {"test"}


def test_captions_in_a_separate_folder_are_found(root, rows):
    sound(root / "audio/a/talk.wav")
    (root / "refs/audio/a").mkdir(parents=True)
    (root / "refs/audio/a/talk.vtt").write_text("WEBVTT\n\n00:00.500 --> 00:01.000\n中文\n")
    assert set(rows(Options(captions_folder="refs"))) == {"test"}
    assert set(rows(Options(captions="none", captions_folder="refs"))) == {"train"}
    for wrong in ("nowhere", "../refs", "/etc"):
        with pytest.raises(K2DError, match="captions_folder"):
            rows(Options(captions_folder=wrong))


def test_each_unusable_caption_file_is_reported(root, rows):
    for name in ("a", "b", "c"):
        sound(root / f"{name}.wav")
    (root / "a.srt").write_bytes("00:01.0 --> 00:02.0\n大家好".encode("big5"))
    (root / "b.vtt").write_text("<html>")
    (root / "c.vtt").write_text("WEBVTT\n\n00:00.0 --> 00:01.0\n[音樂]\n")
    with pytest.raises(K2DError) as caught:
        rows()
    for words in ("a.srt: byte", "b.vtt: found no line such as", "c.vtt: nothing is said in it"):
        assert words in str(caught.value)


@pytest.mark.parametrize(("by", "n_dev"), [("recording", 3), ("course", 5)])
def test_a_share_of_the_test_recordings_is_the_development_set(root, rows, by, n_dev):
    for n in range(10):
        sound(root / f"course{n // 5}/talk{n}.wav", 0.5)
        (root / f"course{n // 5}/talk{n}.srt").write_text("00:00.0 --> 00:00.4\n好\n")
    found = rows(Options(dev_share=0.3, dev_by=by))
    assert (len(found["dev"]), len(found["test"])) == (n_dev, 10 - n_dev)
    courses = {split: {row.id.partition("-")[0] for row in found[split]} for split in found}
    assert by == "recording" or not courses["dev"] & courses["test"]
    assert rows(Options(dev_share=0.3, dev_by=by)) == found
