"""Entries of Kaldi archives as kaldiio and ESPnet write them, and entries that must never be loaded."""

import os
import pickle
import struct
import subprocess
import sys

import kaldiio
import numpy as np
import pytest
from made_audio import speechlike, wav_bytes

from k2d.core.layout import PROJECT_ROOT
from k2d.data.audio import AudioError, check, probe, read, resolve, stream

PCM16 = (speechlike(2) * 32_767).astype(np.int16)


@pytest.fixture
def archive(tmp_path):
    """Write entries with kaldiio, and return its values for wav.scp by id."""

    def make(entries, **how) -> dict[str, str]:
        ark, scp = tmp_path / "wav 語.ark", tmp_path / "wav.scp"
        kaldiio.save_ark(str(ark), entries, scp=str(scp), **how)
        return dict(line.split(" ", 1) for line in scp.read_text(encoding="utf-8").splitlines())

    return make


def refusal(value) -> AudioError:
    with pytest.raises(AudioError) as caught:
        probe(resolve(value))
    return caught.value


FLAVOURS = {
    "riff": {},
    "flac": {"write_function": "soundfile", "write_kwargs": {"format": "flac", "subtype": "PCM_16"}},
    "wav": {"write_function": "soundfile", "write_kwargs": {"format": "wav", "subtype": "PCM_16"}},
}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_entries_are_read_as_kaldiio_reads_them(archive, flavour):
    values = archive({"a": (16_000, PCM16[:8_000]), "b": (16_000, PCM16)}, **FLAVOURS[flavour])
    for key, samples in (("a", PCM16[:8_000]), ("b", PCM16)):
        np.testing.assert_array_equal(read(resolve(values[key])), samples / np.float32(32_768))
        rate_hz, theirs = kaldiio.load_mat(values[key])
        assert (rate_hz, len(theirs)) == (16_000, len(samples))
    info = probe(resolve(values["b"]))
    assert (info.container, info.n_frames, info.duration_s) == ("ark", 32_000, 2.0)
    assert info.subtype == ("RIFF" if flavour == "riff" else "AUDIO")


def test_a_bare_flac_in_an_archive(tmp_path):
    """The output of format_wav_scp with older kaldiio: the FLAC file itself after its id."""
    import soundfile

    soundfile.write(tmp_path / "a.flac", PCM16, 16_000)
    (tmp_path / "wav.ark").write_bytes(b"utt1 " + (tmp_path / "a.flac").read_bytes())
    np.testing.assert_array_equal(read(resolve("wav.ark:5", tmp_path)), PCM16 / np.float32(32_768))


def test_segments_streams_and_checks_work_on_entries(archive):
    source = resolve(archive({"a": (8_000, PCM16)})["a"])  # 4 s at 8 kHz
    whole = read(source)
    assert len(whole) == 64_000
    np.testing.assert_allclose(read(source, 1.5, 2.25), whole[24_000:36_000], atol=1e-6)
    np.testing.assert_allclose(np.concatenate(list(stream(source, 0.7))), whole, atol=1e-6)
    assert check(source).info.n_frames == 32_000


def test_stereo_and_8_bit_entries(archive):
    stereo = np.stack([PCM16, PCM16[::-1]], axis=1)
    value = archive({"a": (16_000, stereo)})["a"]
    np.testing.assert_allclose(read(resolve(value)), stereo.mean(axis=1) / 32_768, atol=1e-6)
    value = archive({"a": (16_000, np.arange(4_096).astype(np.uint8))})["a"]
    assert read(resolve(value))[:3].tolist() == [-1.0, -127 / 128, -126 / 128]


class Trap:
    """An object that writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_pickled_entry_is_refused_and_never_loaded(archive, tmp_path):
    value = archive({"a": Trap(tmp_path / "trace")}, write_function="pickle")["a"]
    error = refusal(value)
    assert error.reason == "pickled_ark"
    assert "can run code when it is loaded" in error.message
    assert not (tmp_path / "trace").exists()
    kaldiio.load_mat(value)
    assert (tmp_path / "trace").exists()  # the trap is real


def test_a_pickle_behind_a_numpy_header_is_refused_too(tmp_path):
    (tmp_path / "wav.ark").write_bytes(b"a NPY" + pickle.dumps({"no": "audio"}))
    assert refusal(f"{tmp_path}/wav.ark:2").reason == "ark_not_audio"


@pytest.mark.parametrize("how", [{}, {"compression_method": 2}, {"text": True}, {"write_function": "numpy"}])
def test_feature_matrices_are_refused(archive, how):
    error = refusal(archive({"a": np.ones((20, 40), np.float32)}, **how)["a"])
    assert error.reason == "ark_not_audio"
    assert error.remedy == "point wav.scp at audio; features belong in feats.scp"


def test_an_offset_outside_or_beside_an_entry_is_reported(archive):
    value = archive({"utt1": (16_000, PCM16)})["utt1"]
    path, offset = value.rsplit(":", 1)
    assert offset == "5"
    beyond = refusal(f"{path}:{10**9}")
    assert beyond.reason == "ark_offset"
    assert "byte 1,000,000,000 lies beyond the end of the archive" in beyond.message
    for wrong in (0, 4, 6, 50, 1_000):
        assert refusal(f"{path}:{wrong}").reason == "ark_offset"


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_truncated_archive(archive, flavour):
    value = archive({"a": (16_000, PCM16)}, **FLAVOURS[flavour])["a"]
    path = resolve(value).path
    os.truncate(path, path.stat().st_size - 1)
    assert refusal(value).reason == "truncated"


def test_an_entry_with_an_absurd_stated_length_is_refused(tmp_path):
    (tmp_path / "wav.ark").write_bytes(b"a AUDIO\x08" + b"\xff" * 8 + bytes(100))
    assert refusal(f"{tmp_path}/wav.ark:2").reason == "truncated"


def test_an_entry_too_long_to_be_decoded_at_once(tmp_path):
    path = tmp_path / "wav.ark"
    n_bytes = 1 << 29
    path.write_bytes(b"a RIFF" + struct.pack("<I", n_bytes) + wav_bytes()[8:])
    os.truncate(path, n_bytes + 100)
    error = refusal(f"{path}:2")
    assert (error.reason, error.remedy) == ("ark_entry_too_long", "keep long recordings as files of their own")


def test_an_entry_that_kaldiio_cannot_decode_is_named(tmp_path):
    (tmp_path / "wav.ark").write_bytes(b"a AUDIO\x01\x20" + bytes(32))
    error = refusal(f"{tmp_path}/wav.ark:2")
    assert error.reason == "unreadable"
    assert "the AUDIO entry cannot be decoded" in error.message


def test_absurd_rates_in_an_archive(tmp_path):
    (tmp_path / "wav.ark").write_bytes(b"a " + wav_bytes(rate_hz=1_000_000))
    assert refusal(f"{tmp_path}/wav.ark:2").reason == "bad_rate"


def test_a_missing_archive_and_a_directory(tmp_path):
    assert refusal(f"{tmp_path}/none.ark:2").reason == "missing"
    (tmp_path / "dir.ark").mkdir()
    assert refusal(f"{tmp_path}/dir.ark:2").reason == "not_regular_file"


def test_audio_alone_imports_neither_kaldiio_nor_torch_nor_espnet():
    code = "import sys, k2d.data.audio; print([m for m in ('kaldiio', 'torch', 'espnet2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
