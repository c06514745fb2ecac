"""Stage 1 checks the audio: bad files are rejected, and a failure of the machine stops the stage."""

import pytest
from made_audio import speechlike, write_audio

from k2d.core.errors import K2DError
from k2d.data.recordings import probe_recordings

UNREADABLE = "/proc/self/mem"  # a regular file whose first byte gives EIO


def probed(folder, rows):
    listed = folder / "recordings"
    listed.write_text("".join(f"{key} {path}\n" for key, path in rows.items()))
    return probe_recordings(listed, folder, nj=2, label="train: looking at the audio")


@pytest.mark.slow
def test_an_input_output_error_is_never_a_bad_item(tmp_path):
    good = write_audio(tmp_path / "good.wav", speechlike(1.0))
    with pytest.raises(K2DError) as caught:
        probed(tmp_path, {"a": good, "b": UNREADABLE})
    assert "train: looking at the audio: 1 of 2 recordings" in str(caught.value)
    assert "b: /proc/self/mem: cannot be read: Input/output error [unreadable]" in str(caught.value)
    assert "run the same command again" in str(caught.value)


@pytest.mark.slow
def test_missing_and_damaged_files_of_a_corpus_are_bad_items(tmp_path):
    good = write_audio(tmp_path / "good.wav", speechlike(1.0))
    (tmp_path / "cut.wav").write_bytes(good.read_bytes()[:5000])
    found = probed(tmp_path, {"a": good, "b": tmp_path / "nowhere.wav", "c": tmp_path / "cut.wav"})
    assert list(found.durations_s()) == [("a", 1.0)]
    assert {key: row.reason for key, row in found.bad.items()} == {"b": "missing", "c": "truncated"}
