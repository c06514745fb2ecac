"""Validation with audio: three directories by public conventions, and bad inputs 17, 19, 20, 22, 30 to 34 and 50."""

import os
import shutil
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile

from k2d.core.errors import K2DError, Treatment
from k2d.core.layout import PROJECT_ROOT
from k2d.data.kaldi.fix import fix
from k2d.data.kaldi.kinds import Key
from k2d.data.kaldi.validate import validate
from k2d.data.kaldi.validate_segments import TOLERANCE_S
from k2d.data.kaldi.validation import AudioLevel, Checks

RATE_HZ = 16_000


def sound(seconds, seed=0):
    return np.random.default_rng(seed).uniform(-0.3, 0.3, round(seconds * RATE_HZ)).astype(np.float32)


def write_audio(path, seconds=1.0, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(seconds, seed), RATE_HZ)
    return path


def look(folder, level="header", **changes):
    return validate(folder, Checks(root=folder.parent, audio=AudioLevel(level), nj=2, **changes))


def reasons(validation):
    return {key: rejected.reason for key, rejected in validation.bad[Key.RECORDING].items()}


@pytest.fixture
def whole(make_dir, tmp_path):
    """Without segments: 16-bit WAV by relative path, as Kaldi's recipes for read speech make it."""
    for seed, (name, seconds) in enumerate([("a/1.wav", 1.5), ("a/2.wav", 2.0), ("b/1.wav", 0.75)]):
        write_audio(tmp_path / name, seconds, seed)
    return make_dir("whole")


@pytest.fixture
def cut(make_dir, tmp_path):
    """With segments: FLAC lectures with a space in a name."""
    write_audio(tmp_path / "lecture 1.flac", 10.0, 1)
    write_audio(tmp_path / "lecture2.flac", 2.5, 2)
    return make_dir("cut")


@pytest.fixture
def in_ark(make_dir, tmp_path):
    """Audio in an archive, as ESPnet's format_wav_scp writes it (FLAC entries, its own utt2num_samples)."""
    target = tmp_path / "data_wav.ark"
    how = {"scp": str(tmp_path / "wav.scp"), "append": True, "write_function": "soundfile"}
    for seed, (key, seconds) in enumerate([("a-1", 1.5), ("a-2", 2.0), ("b-1", 0.75)]):
        samples = (sound(seconds, seed) * 32767).astype(np.int16)
        kaldiio.save_ark(str(target), {key: (samples, RATE_HZ)}, write_kwargs={"format": "flac"}, **how)
    scp = (tmp_path / "wav.scp").read_text()
    assert f"a-1 {target}:4" in scp
    return make_dir("whole", {"wav.scp": scp, "utt2num_samples": "a-1 24000\na-2 32000\nb-1 12000\n"})


@pytest.mark.parametrize("convention", ["whole", "cut", "in_ark"])
@pytest.mark.parametrize("level", list(AudioLevel))
@pytest.mark.slow
def test_directories_by_public_conventions_are_valid(request, convention, level):
    validation = look(request.getfixturevalue(convention), level.value)
    assert validation.report.lines(Treatment.REJECT, Treatment.QUARANTINE, Treatment.NORMALISE) == []
    assert validation.n_utterances == 3


@pytest.mark.parametrize(("end", "codes"), [("10.4", {"segment_end"}), ("10.6", {"segment_beyond_end"})])
@pytest.mark.slow
def test_the_real_end_overrules_the_stated_one(cut, end, codes):
    (cut / "reco2dur").unlink()
    (cut / "segments").write_text(f"a-1 r1 0 1\na-2 r1 1.5 {end}\nb-1 r2 0.5 2\n")
    validation = look(cut)
    assert {code for _, code in validation.report.counts} == codes
    if codes == {"segment_end"}:
        assert validation.clamped_ends_s == {"a-2": 10.0}


NAMES = ["with space.wav", 'it\'s "quoted".wav', "课堂 录音.wav", "😀.wav", "a:12.wav", "$(id);&.wav", "cafe\u0301.wav"]


@pytest.mark.slow
def test_unusual_paths_work(make_dir, tmp_path):
    for seed, name in enumerate(NAMES):
        write_audio(tmp_path / name, 1.0, seed)
    ids = [f"u{i}" for i in range(len(NAMES))]
    folder = make_dir(
        "whole",
        {
            "wav.scp": "".join(f"{key} {name}\n" for key, name in zip(ids, NAMES, strict=True)),
            "text": "".join(f"{key} x\n" for key in ids),
            "utt2spk": "".join(f"{key} {key}\n" for key in ids),
            "spk2utt": "".join(f"{key} {key}\n" for key in ids),
            "utt2dur": None,
        },
    )
    assert look(folder).report.counts == {}


@pytest.mark.slow
def test_other_kinds_of_files_are_rejected_and_never_opened(whole, tmp_path):
    """Opening the named pipe or reading /dev/zero would never end."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    paths = {
        "missing": ("none.wav", "missing"),
        "directory": ("folder", "not_regular_file"),
        "dangling": ("dangling", "missing"),
        "loop": ("loop", "not_regular_file"),
        "fifo": ("pipe", "not_regular_file"),
        "zero": ("/dev/zero", "not_regular_file"),
    }
    (whole / "wav.scp").write_text("".join(f"{key} {path}\n" for key, (path, _) in paths.items()))
    for level in ("exists", "header", "decode"):
        validation = look(whole, level)
        assert reasons(validation) == {key: reason for key, (_, reason) in paths.items()}
    fault = next(fault for fault in validation.report.kept if fault.code == "missing")
    assert str(fault).startswith(f"{whole}/wav.scp:")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(whole, tmp_path):
    (tmp_path / "a/1.wav").chmod(0)
    assert reasons(look(whole, "exists")) == {"a-1": "unreadable"}


@pytest.mark.slow
def test_an_input_output_error_is_reported_and_never_dropped_by_fix(whole):
    """/proc/self/mem is a regular file. Reading its first byte gives an input/output error."""
    rows = (whole / "wav.scp").read_text().replace("a/1.wav", "/proc/self/mem")
    (whole / "wav.scp").write_text(rows)
    found = look(whole, "decode")
    assert (reasons(found), found.is_sound) == ({}, False)
    assert found.report.counts[Treatment.REJECT, "unreadable"] == 1
    with pytest.raises(K2DError, match=r"cannot be read: Input/output error; it is not left out for this: repair"):
        fix(whole, Checks(root=whole.parent, audio=AudioLevel.DECODE, nj=1))
    assert (whole / "wav.scp").read_text() == rows


@pytest.mark.slow
def test_relative_paths_start_at_the_root(whole, tmp_path):
    assert look(whole).is_sound
    assert Checks().root == PROJECT_ROOT
    elsewhere = validate(whole, Checks(root=tmp_path / "data", audio=AudioLevel.EXISTS))
    assert reasons(elsewhere) == dict.fromkeys(["a-1", "a-2", "b-1"], "missing")


@pytest.mark.slow
def test_bad_audio_is_rejected_with_its_reason(whole, tmp_path):
    """Also Kaldi's gaps 3 and 4: Kaldi never opens audio and never checks that it exists."""
    (tmp_path / "a/1.wav").write_bytes(b"")
    (tmp_path / "a/2.wav").write_text("<!DOCTYPE html><html>404</html>" * 9)
    cut_off = (tmp_path / "b/1.wav").read_bytes()
    (tmp_path / "b/1.wav").write_bytes(cut_off[: len(cut_off) // 2])
    assert look(whole, "exists").is_sound
    validation = look(whole)
    assert reasons(validation) == {"a-1": "empty_file", "a-2": "not_audio", "b-1": "truncated"}
    assert not validation.report.count(Treatment.REJECT)
    assert not validation.is_sound


@pytest.mark.slow
def test_decoding_warns_of_odd_audio_and_finds_the_same_audio_in_another_format(whole, tmp_path):
    """Bad inputs 41, 42 and 50."""
    soundfile.write(tmp_path / "a/1.wav", np.zeros(24_000, np.float32), RATE_HZ)
    soundfile.write(tmp_path / "a/2.wav", 4 * sound(2.0), RATE_HZ, subtype="FLOAT")
    clipped = np.clip(4 * sound(0.75), -1, 1)
    soundfile.write(tmp_path / "b/1.wav", clipped, RATE_HZ)
    soundfile.write(tmp_path / "b/1.flac", soundfile.read(tmp_path / "b/1.wav", dtype="int16")[0], RATE_HZ)
    with (whole / "wav.scp").open("a") as file:
        file.write("b-2 b/1.flac\n")
    for name in ("text", "utt2spk", "utt2dur"):
        with (whole / name).open("a") as file:
            file.write("b-2 0.75\n")
    fix(whole, Checks(root=tmp_path, audio=AudioLevel.NONE))
    validation = look(whole, "decode")
    assert validation.is_sound
    warnings = {(fault.item, fault.code) for fault in validation.report.kept}
    odd = {("a-1", "silent"), ("a-2", "over_full_scale"), ("b-1", "clipped"), ("b-2", "clipped")}
    assert warnings - {("b-2", "speakers_unsorted")} == {*odd, ("b-2", "same_audio")}


def test_the_tolerance_equals_that_of_the_reader():
    from k2d.data.audio import END_TOLERANCE_S

    assert TOLERANCE_S == END_TOLERANCE_S


@pytest.mark.parametrize("name", ["utt2dur", "reco2dur"])
@pytest.mark.slow
def test_a_stated_duration_far_from_the_real_one_is_a_bad_item(whole, name):
    (whole / name).write_text("a-1 1.5\na-2 2.4\nb-1 1.3\n")
    validation = look(whole)
    key = Key.UTTERANCE if name == "utt2dur" else Key.RECORDING
    assert {item: bad.reason for item, bad in validation.bad[key].items()} == {"b-1": "stated_duration"}


@pytest.mark.slow
def test_a_copy_under_another_name_is_reported(whole, tmp_path):
    shutil.copy(tmp_path / "a/1.wav", tmp_path / "b/1.wav")
    (whole / "utt2dur").unlink()
    validation = look(whole)
    warnings = [str(fault) for fault in validation.report.kept if fault.code == "same_audio"]
    assert warnings == [f"{whole}/wav.scp:3: 'b-1' has the same audio as 'a-1': b/1.wav and a/1.wav"]
    assert validation.is_sound


@pytest.mark.slow
def test_files_with_equal_start_middle_and_end_are_distinguished(whole, tmp_path):
    content = bytearray((tmp_path / "a/2.wav").read_bytes())
    content[len(content) // 4] ^= 1
    (tmp_path / "a/1.wav").write_bytes(content)
    (whole / "utt2dur").unlink()
    assert look(whole).report.counts == {}


@pytest.mark.slow
def test_the_report_does_not_depend_on_the_number_of_workers(whole, tmp_path):
    ids = [f"x{i:02}" for i in range(30)]
    (whole / "wav.scp").write_text("".join(f"{key} none{key}.wav\n" for key in ids))
    one = validate(whole, Checks(root=tmp_path, nj=1)).report.lines()
    assert validate(whole, Checks(root=tmp_path, nj=3)).report.lines() == one
    assert any("… and 20 more of [missing]" in line for line in one)


@pytest.mark.slow
def test_fix_drops_bad_audio_with_its_reason(cut, tmp_path):
    (tmp_path / "lecture2.flac").unlink()
    fixed = fix(cut, Checks(root=tmp_path, nj=2))
    assert fixed.summary().startswith(f"{cut}: in 3 = kept 2 + missing 1; wrote rejected.jsonl, reco2dur, ")
    assert '"id": "b-1", "reason": "missing"' in (cut / "rejected.jsonl").read_text()
    assert look(cut).is_sound


@pytest.mark.slow
def test_a_directory_made_by_espnets_own_writer_is_valid(make_dir, tmp_path):
    from espnet2.fileio.datadir_writer import DatadirWriter
    from espnet2.fileio.sound_scp import SoundScpWriter

    with DatadirWriter(tmp_path / "data") as writer, SoundScpWriter(tmp_path / "wav", tmp_path / "wav.scp") as audio:
        for i, key in enumerate(["a-1", "a-2", "b-1"]):
            audio[key] = RATE_HZ, (sound(1.0, i) * 32767).astype(np.int16)
            writer["text"][key] = f"你好 {key}"
            writer["utt2spk"][key] = key[0]
    shutil.copy(tmp_path / "wav.scp", tmp_path / "data")
    (tmp_path / "data" / "spk2utt").write_text("a a-1 a-2\nb b-1\n")
    assert look(Path(tmp_path / "data")).report.counts == {}
