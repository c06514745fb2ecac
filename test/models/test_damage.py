"""A model is not used if its files differ from its stamp."""

import os
from pathlib import Path

import pytest

from k2d.core.errors import K2DError
from k2d.core.stamp import Recipe, write_stamp
from k2d.decode.cli import main
from k2d.models.damage import refuse_damaged


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "models" / "teacher"
    folder.mkdir(parents=True)
    (folder / "model.pth").write_bytes(bytes(range(200)))
    (folder / "config.yaml").write_text("encoder: e_branchformer\n")
    write_stamp(folder, Recipe("teacher", 1, {}, {}), {}, {})
    return folder


@pytest.fixture
def call(model, tmp_path):
    """Transcribe a file that is not audio. With an undamaged model, this is reported without loading the model."""
    (tmp_path / "talk.wav").write_text("no audio")
    return ["--model", str(model), str(tmp_path / "talk.wav")]


def flip_a_byte(path):
    with path.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)[0]
        file.seek(100)
        file.write(bytes([byte ^ 1]))


def test_a_flipped_byte_is_found_before_anything_is_transcribed(model, call):
    flip_a_byte(model / "model.pth")
    with pytest.raises(K2DError) as caught:
        main(call)
    assert str(caught.value) == (
        f"{model}: model.pth was edited; the model differs from its stamp.json: make it again (stage teacher, "
        "with --force), or copy it from where it is whole"
    )


def test_a_whole_model_is_used_also_where_times_changed_or_notes_were_added(model, call, capsys):
    os.utime(model / "model.pth")
    (model / "notes.txt").write_text("my best one")
    assert main(call) == 1
    assert "1 of 1 files could not be transcribed" in capsys.readouterr().err


def test_a_lost_file_is_reported(model):
    (model / "config.yaml").unlink()
    with pytest.raises(K2DError, match=r"config\.yaml is missing"):
        refuse_damaged(model)


def test_the_stamp_is_also_checked_for_a_single_file(model):
    refuse_damaged(model / "model.pth")
    flip_a_byte(model / "model.pth")
    with pytest.raises(K2DError, match=r"model\.pth was edited"):
        refuse_damaged(model / "model.pth")


def test_an_unreadable_stamp_is_reported_with_a_remedy(model):
    (model / "stamp.json").write_bytes(bytes(300))
    with pytest.raises(K2DError, match=r"or remove this stamp\.json to use the model unchecked"):
        refuse_damaged(model)


def test_a_model_without_a_stamp_is_used(tmp_path, monkeypatch):
    (tmp_path / "model.pth").write_bytes(b"foreign")
    refuse_damaged(tmp_path)
    refuse_damaged(tmp_path / "model.pth")
    (tmp_path / "stamp.json").write_text("a postage stamp")
    monkeypatch.chdir(tmp_path)
    refuse_damaged(Path("base"))  # a published name is no path
