"""Stretches of recordings are written as files: sample by sample, once, and bad audio is reported."""

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from k2d.core.errors import K2DError
from k2d.data.raw.cut_audio import cut_out
from k2d.data.rows import Utterance


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "long.flac"
    samples = np.random.default_rng(0).integers(-3000, 3000, 32_000).astype(np.int16)
    soundfile.write(path, samples, 16_000)
    return path, samples


def row(key, path, start_s, end_s):
    return Utterance(key, "r", str(path), "s", f"text of {key}", start_s, end_s, "zh")


def test_an_utterance_equals_its_stretch_sample_by_sample(recording, tmp_path):
    path, samples = recording
    rows = list(cut_out([row("b", path, 1.0, 1.5), row("a", path, 0.25, 0.75)], tmp_path / "store", nj=1))
    assert [(r.id, r.recording_id, r.text, r.language, r.start_s) for r in rows] == [
        ("b", "b", "text of b", "zh", None),
        ("a", "a", "text of a", "zh", None),
    ]
    for cut, (first, last) in zip(rows, [(16_000, 24_000), (4_000, 12_000)], strict=True):
        found, rate_hz = soundfile.read(cut.audio, dtype="int16")
        assert rate_hz == 16_000
        assert (found == samples[first:last]).all()


@pytest.mark.slow
def test_a_cut_is_written_once_and_again_only_for_other_times_or_audio(recording, tmp_path):
    path, samples = recording

    def cut(start_s):
        return Path(next(cut_out([row("a", path, start_s, 1.0)], tmp_path / "store", nj=1)).audio)

    first = cut(0.5)
    first.write_bytes(b"kept")
    assert cut(0.5) == first
    assert first.read_bytes() == b"kept"
    assert cut(0.6) != first
    soundfile.write(path, samples[:20_000], 16_000)
    assert cut(0.5) != first
    assert not list((tmp_path / "store").glob(".*"))


def test_audio_that_cannot_be_cut_is_reported_and_passed_to_stage_1(recording, tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="k2d")
    path, _ = recording
    (tmp_path / "bad.flac").write_bytes(b"<html>")
    rows = [row("a", path, 0.5, 1.0), row("b", path, 9.0, 10.0), row("c", tmp_path / "bad.flac", 0.0, 1.0)]
    whole, beyond, bad = cut_out(rows, tmp_path / "store", nj=1)
    assert soundfile.info(whole.audio).frames == 8_000
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(beyond.audio)
    assert bad.audio == str(tmp_path / "bad.flac")  # stage 1 reports its fault
    assert "1 of 2 utterances could not be cut out: " in caplog.text
    assert "long.flac" in caplog.text


def test_an_input_output_error_stops_the_command(tmp_path):
    """/proc/self/mem is a regular file. Reading its first byte gives an input/output error."""
    with pytest.raises(K2DError, match=r"/proc/self/mem: cannot be read: Input/output error"):
        list(cut_out([row("a", "/proc/self/mem", 0.0, 1.0)], tmp_path / "store", nj=1))
