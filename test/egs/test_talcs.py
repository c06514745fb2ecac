"""talcs: the same utterances from both layouts, and messages about faults."""

import logging
import shutil
import tarfile

import pytest
from made_talcs import write_pool, write_sets

from egs.talcs.prepare import Options, prepare
from k2d.core.errors import K2DError


def rows_of(root, store=None, **options):
    return list(prepare(root, Options(**options), 1, store or root / "store"))


def facts(rows):
    return {row.id: (row.text, row.speaker, row.recording_id, row.start_s) for _, row in rows}


def test_labels_become_utterances_with_plain_letters_and_no_signs(tmp_path):
    rows = rows_of(write_sets(tmp_path))
    assert [(split, row.id, row.text) for split, row in rows] == [
        ("train", "171007-c0001-0001", "我们来看 Apple 这个词"),
        ("train", "171007-c0001-0002", "banana，好吗？ it's ok"),
        ("dev", "171007-c0002-0001", "how are you"),
        ("test", "171007-c0003-0001", "下一页 page 3"),
    ]
    assert rows[0][1].audio == str(tmp_path / "TALCS_corpus/train_set/wav/171007-c0001-0001.wav")


def test_both_layouts_give_the_same(tmp_path):
    pool = rows_of(write_pool(tmp_path / "b"), layout="pool")
    assert facts(pool) == facts(rows_of(write_sets(tmp_path / "a")))
    assert {split for split, _ in pool} == {"all"}
    assert pool[1][1].audio == str(tmp_path / "b/TAL_CSASR/cs_wav/1/deep/171007-c0001-0002.wav")


def test_dropped_lines_are_reported(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="k2d")
    rows_of(write_sets(tmp_path))
    train = next(message for message in caplog.messages if message.startswith("talcs/train"))
    assert "in 4 labels and recordings = kept 2 + no_label 1 (such as " in train
    assert "train-unlabelled.wav) + no_words 1 (such as " in train
    assert "label.txt:3)" in train


def test_a_missing_recording_is_passed_to_stage_1(tmp_path):
    write_sets(tmp_path)
    (tmp_path / "TALCS_corpus/dev_set/wav/171007-c0002-0001.wav").unlink()
    assert [row.id for split, row in rows_of(tmp_path) if split == "dev"] == ["171007-c0002-0001"]


def test_a_missing_split_is_named(tmp_path):
    write_sets(tmp_path)
    shutil.rmtree(tmp_path / "TALCS_corpus/test_set")
    with pytest.raises(K2DError, match=r"test_set/label\.txt: cannot be read: No such file.*is the raw corpus whole\?"):
        rows_of(tmp_path)


def test_another_layout_than_the_requested_one_is_named(tmp_path):
    write_pool(tmp_path)
    with pytest.raises(K2DError) as caught:
        rows_of(tmp_path)
    assert "found nothing, expected one folder with train_set/label.txt (layout `sets`)" in str(caught.value)
    assert "there is the layout `pool`: set prepare.options.talcs.layout=pool" in str(caught.value)
    shutil.copytree(tmp_path / "TAL_CSASR", tmp_path / "again")
    with pytest.raises(K2DError, match=r"found \S+TAL_CSASR, \S+again, expected one folder with label"):
        rows_of(tmp_path, layout="pool")


def test_a_duplicate_id_or_recording_is_named(tmp_path):
    write_pool(tmp_path)
    label = tmp_path / "TAL_CSASR/label"
    text = label.read_text(encoding="utf-8")
    label.write_text(text + "171007-c0001-0002 again\n", encoding="utf-8")
    with pytest.raises(K2DError, match=r"label:6: found the id '171007-c0001-0002' again \(first in line 2\)"):
        rows_of(tmp_path, layout="pool")
    label.write_text(text, encoding="utf-8")
    shutil.copy(tmp_path / "TAL_CSASR/cs_wav/0/deep/171007-c0001-0001.wav", tmp_path / "TAL_CSASR/cs_wav")
    with pytest.raises(K2DError, match="1 files are there twice; keep one of each"):
        rows_of(tmp_path, layout="pool")


def test_the_archive_itself_is_accepted(tmp_path):
    write_pool(tmp_path / "there")
    root = tmp_path / "root"
    root.mkdir()
    with tarfile.open(root / "TAL_CSASR.tar", "w") as archive:
        archive.add(tmp_path / "there/TAL_CSASR", "TAL_CSASR")
    rows = rows_of(root, tmp_path / "store", layout="pool")
    assert facts(rows) == facts(rows_of(tmp_path / "there", layout="pool"))
    assert str(tmp_path / "store/unpacked-") in rows[0][1].audio


def test_a_cut_archive_is_refused(tmp_path):
    write_pool(tmp_path / "there")
    with tarfile.open(tmp_path / "whole.tar", "w") as archive:
        archive.add(tmp_path / "there/TAL_CSASR", "TAL_CSASR")
    content = (tmp_path / "whole.tar").read_bytes()
    (tmp_path / "root").mkdir()
    (tmp_path / "root/TAL_CSASR.tar").write_bytes(content[: len(content) // 2])
    with pytest.raises(K2DError, match=r"TAL_CSASR\.tar"):
        rows_of(tmp_path / "root", tmp_path / "store", layout="pool")
    assert list((tmp_path / "store").glob("unpacked-*")) == []


@pytest.mark.slow
def test_its_stages_run_up_to_the_report(walk, tmp_path):
    data = walk("talcs", write_sets(tmp_path), ["dev", "test"])
    assert (data / "test/text").read_text(encoding="utf-8") == "171007-c0003-0001 下一页 page 3\n"


@pytest.mark.slow
def test_the_stages_run_with_the_other_layout(walk, tmp_path):
    walk("talcs", write_pool(tmp_path), ["all"], "prepare.options.talcs.layout=pool")
