"""csdialogue: Kaldi lists and scripts give the same utterances, and audio is found in all usual folders."""

import logging
import shutil

import pytest
from made_audio import speechlike, write_audio
from made_csdialogue import pack, write, write_csdialogue

from egs.csdialogue.markup import language, words
from egs.csdialogue.prepare import Options, prepare
from k2d.core.errors import K2DError


def rows_of(root, layout="index", store=None):
    return list(prepare(root, Options(layout), 1, store or root / "store"))


def facts(rows):
    return {row.id: (row.text, row.speaker, row.recording_id, row.start_s, row.language) for _, row in rows}


def test_the_index_has_splits_words_speakers_and_languages(tmp_path):
    rows = rows_of(write_csdialogue(tmp_path))
    assert [(split, row.id, row.text, row.language) for split, row in rows] == [
        ("train", "ZH-CN_U0001_S0_4", "嗯，我是 Luna ，嗯 ，你现在。", "mixed"),
        ("train", "ZH-CN_U0001_S0_101", "好的 好的 。", "zh"),
        ("dev", "ZH-CN_U0003_S0_1", "so what do you think?", "en"),
        ("test", "ZH-CN_U0004_S0_12", "我 think 可以。", "mixed"),
    ]
    assert rows[0][1].speaker == "ZH-CN_U0001_S0"
    assert rows[0][1].audio == str(tmp_path / "data/short_wav/WAVE/C0/ZH-CN_U0001_S0/ZH-CN_U0001_S0_4.wav")


def test_the_scripts_give_the_same_without_splits(tmp_path):
    write_csdialogue(tmp_path)
    indexed, scripted = rows_of(tmp_path), rows_of(tmp_path, "script")
    assert facts(indexed) == facts(scripted)
    assert {row.audio for _, row in indexed} == {row.audio for _, row in scripted}
    assert {split for split, _ in scripted} == {"all"}


def test_an_index_without_languages_has_those_of_the_scripts_or_of_the_letters(tmp_path):
    expected = facts(rows_of(write_csdialogue(tmp_path / "tagged")))
    write_csdialogue(tmp_path / "plain", tagged=False)
    assert facts(rows_of(tmp_path / "plain")) == expected
    shutil.rmtree(tmp_path / "plain/data/short_wav/SCRIPT")
    assert facts(rows_of(tmp_path / "plain")) == expected  # the letters give the same languages


@pytest.mark.parametrize("inner", ["short_wav", "short_wav/extracted"])
def test_audio_is_found_in_the_usual_folders(tmp_path, inner):
    expected = facts(rows_of(write_csdialogue(tmp_path)))
    (tmp_path / "data/short_wav").rename(tmp_path / "unpacked")
    (tmp_path / "data" / inner).mkdir(parents=True)
    (tmp_path / "unpacked").rename(tmp_path / "data" / inner / "short_wav")
    rows = rows_of(tmp_path / "data")  # the root may be data/ itself
    assert facts(rows) == expected
    assert rows[0][1].audio.startswith(str(tmp_path / "data" / inner / "short_wav/WAVE/C0/"))


def test_an_archive_in_parts_is_unpacked(tmp_path):
    expected = facts(rows_of(write_csdialogue(tmp_path)))
    rows = rows_of(pack(tmp_path), store=tmp_path / "store")
    assert facts(rows) == expected
    assert rows[0][1].audio.startswith(str(tmp_path / "store/unpacked-"))
    assert facts(rows_of(tmp_path, "script", tmp_path / "store")) == expected


def test_without_audio_the_places_are_named(tmp_path):
    write_csdialogue(tmp_path)
    shutil.rmtree(tmp_path / "data/short_wav")
    with pytest.raises(K2DError) as caught:
        rows_of(tmp_path)
    assert "data/short_wav/extracted/short_wav/WAVE, nor an archive that holds short_wav/WAVE" in str(caught.value)
    assert "fetch data/short_wav/ again" in str(caught.value)
    shutil.rmtree(tmp_path / "data/index")
    with pytest.raises(K2DError, match="found no data/index/short_wav, expected the repository as it is downloaded"):
        rows_of(tmp_path)


def test_a_missing_part_of_the_archive_is_refused(tmp_path):
    pack(write_csdialogue(tmp_path))
    (tmp_path / "data/short_wav/short_wav.tar.gz01").unlink()
    with pytest.raises(K2DError, match=r"short_wav\.tar\.gz00"):
        rows_of(tmp_path, store=tmp_path / "store")
    assert list((tmp_path / "store").glob("unpacked-*")) == []


def test_entries_that_are_not_in_all_lists_are_reported(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="k2d")
    write_csdialogue(tmp_path)
    index = tmp_path / "data/index/short_wav/dev"
    write(index / "text", ["ZH-CN_U0003_S0_2 <CN> 你好", "ZH-CN_U0003_S0_1 <EN> so what"])
    write(index / "wav.scp", ["ZH-CN_U0003_S0_1 short_wav/x.wav", "ZH-CN_U0003_S0_9 short_wav/y.wav"])
    rows_of(tmp_path)
    train, dev = (m for m in caplog.messages if m.startswith(("csdialogue/train", "csdialogue/dev")))
    assert "in 3 texts and recordings = kept 2 + no_words 1 (such as " in train
    assert "in 3 texts and recordings = kept 1 + no_recording_listed 1 (such as " in dev
    assert dev.endswith("index/short_wav/dev/text:1) + no_text 1 (such as ZH-CN_U0003_S0_9)")


def test_a_duplicate_id_is_named(tmp_path):
    write_csdialogue(tmp_path)
    scp = tmp_path / "data/index/short_wav/train/wav.scp"
    scp.write_text(scp.read_text() + "ZH-CN_U0001_S0_4 short_wav/other.wav\n")
    with pytest.raises(K2DError, match=r"train/wav.scp:4: found the id 'ZH-CN_U0001_S0_4' again \(first in line 1\)"):
        rows_of(tmp_path)


def test_whole_recordings_have_no_text(tmp_path):
    write_csdialogue(tmp_path)
    for split in ("train", "dev", "test"):
        path = f"long_wav/WAVE/{split}.wav"
        write_audio(tmp_path / "data" / path, speechlike(3.0))
        write(tmp_path / "data/index/long_wav" / split / "wav.scp", [f"ZH-CN_{split} {path}"])
    rows = rows_of(tmp_path, "long")
    assert [(split, row.id, row.text) for split, row in rows] == [
        ("train_long", "ZH-CN_train", None),
        ("dev_long", "ZH-CN_dev", None),
        ("test_long", "ZH-CN_test", None),
    ]


def test_markup_is_removed_and_words_stay():
    assert words("<MIX> a<FIL/>b **c** <d>") == "a b c <d>"
    assert words("<NPS/>") == ""
    assert [language(text) for text in ("<CN> 好", "<EN>", "好 <CN>", "")] == ["zh", "en", None, None]


@pytest.mark.slow
def test_its_stages_run_up_to_the_report(walk, tmp_path):
    data = walk("csdialogue", pack(write_csdialogue(tmp_path)), ["dev", "test"])
    assert (data / "test/utt2lang").read_text() == "ZH-CN_U0004_S0_12 mixed\n"
