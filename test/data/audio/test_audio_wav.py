"""WAV headers that contradict the file: it is read to the end if that is safe, and refused otherwise."""

import struct

import numpy as np
import pytest
from made_audio import wav_bytes

from k2d.data.audio import AudioError, AudioSource, check, probe, read

RAMP = ((np.arange(8_000) % 2_000) / 32_768).astype(np.float32)
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf59.27.100\0"
BEXT = b"bext" + struct.pack("<I", 602) + bytes(602)
ID3 = b"id3 " + struct.pack("<I", 11) + b"ID3\3\0\0\0\0\0\1x" + b"\0"  # an odd size, and its padding


def source_of(tmp_path, content: bytes) -> AudioSource:
    (tmp_path / "a.wav").write_bytes(content)
    return AudioSource(tmp_path / "a.wav")


def refusal(tmp_path, content: bytes) -> AudioError:
    source = source_of(tmp_path, content)
    with pytest.raises(AudioError) as caught:
        probe(source)
    for other in (check, read):
        with pytest.raises(AudioError, match=caught.value.reason):
            other(source)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("riff_size", [None, 1_036])
def test_the_file_of_an_interrupted_recorder_is_refused(tmp_path, riff_size):
    error = refusal(tmp_path, wav_bytes(data_size=1_000, riff_size=riff_size))
    assert error.reason == "wrong_length"
    assert error.message == (
        "the header says 1,000 bytes of audio (0.031 s), and 15,000 bytes follow that are not a chunk of a WAV file"
    )
    assert "ffmpeg -ignore_length 1" in error.remedy


@pytest.mark.parametrize("after", [LIST, BEXT + LIST, ID3, LIST + ID3, LIST[:-7], b"TAG" + bytes(125), bytes(3_000)])
@pytest.mark.parametrize("n_frames", [8_000, 7_999])
def test_chunks_after_the_data_are_not_read_as_audio(tmp_path, after, n_frames):
    source = source_of(tmp_path, wav_bytes(n_frames, after=after))
    assert probe(source).n_frames == n_frames
    np.testing.assert_array_equal(read(source), RAMP[:n_frames])


def test_a_chunk_after_data_of_odd_length_may_lack_the_padding(tmp_path):
    header = wav_bytes(0)[:-8].replace(struct.pack("<HH", 2, 16), struct.pack("<HH", 1, 8))
    for padding in (b"", b"\0"):
        content = header + b"data" + struct.pack("<I", 801) + bytes(range(255)) * 3 + bytes(36) + padding + LIST
        assert probe(source_of(tmp_path, content)).n_frames == 801


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("riff_size", [None, 0, 36])
def test_a_header_without_a_size_is_read_to_the_end_of_the_file(tmp_path, size, riff_size):
    source = source_of(tmp_path, wav_bytes(data_size=size, riff_size=riff_size))
    assert probe(source).n_frames == 8_000
    assert check(source).info.n_frames == 8_000
    np.testing.assert_array_equal(read(source), RAMP)
    np.testing.assert_array_equal(read(source, 0.1, 0.2), RAMP[1_600:3_200])


@pytest.mark.parametrize("riff_size", [None, 0, 36])
def test_chunks_after_a_size_of_zero_are_not_read_as_audio(tmp_path, riff_size):
    error = refusal(tmp_path, wav_bytes(0, after=BEXT + LIST, riff_size=riff_size))
    assert error.reason == "no_samples"


def test_a_pipe_of_more_than_two_gigabytes_is_read_to_its_end(tmp_path):
    """SoX and arecord write 0x7ffff000 for an unknown length. libsndfile would read only that many bytes."""
    path, header = tmp_path / "long.wav", wav_bytes(0, riff_size=0x7FFFF024, data_size=0x7FFFF000)
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(len(header) + 2_400_000_000)  # sparse: it takes no room
    assert probe(AudioSource(path)).n_frames == 1_200_000_000


def test_two_wav_files_joined_are_refused(tmp_path):
    error = refusal(tmp_path, wav_bytes() + wav_bytes(4_000))
    assert error.reason == "wrong_length"
    assert error.message == "a second WAV file begins at byte 16,044: only the first would be read"
    assert error.remedy == "cut it apart there, or make the file again"


def test_two_data_chunks_are_refused(tmp_path):
    error = refusal(tmp_path, wav_bytes(after=b"data" + struct.pack("<I", 400) + bytes(400)))
    assert error.reason == "wrong_length"
    assert error.message == (
        "has two data chunks, of 16,000 bytes at byte 44 and of 400 bytes at byte 16,052: which is the recording?"
    )


def spoilt_format(n_bits: int = 16, n_channels: int = 1, frame_bytes: int = 2) -> bytes:
    whole = wav_bytes()
    return whole[:22] + struct.pack("<HIIHH", n_channels, 16_000, 32_000, frame_bytes, n_bits) + whole[36:]


@pytest.mark.parametrize("n_bits", [0, 1, 7, 9, 15, 17, 33, 64])
def test_an_odd_number_of_bits_a_sample_is_refused(tmp_path, n_bits):
    """Read according to the header, 16-bit speech would become noise."""
    error = refusal(tmp_path, spoilt_format(n_bits))
    assert error.reason == "bad_header"
    assert f"its header says {n_bits} bits a sample" in error.message


@pytest.mark.parametrize(("n_bits", "n_channels"), [(8, 1), (24, 1), (16, 2), (8, 4)])
def test_a_header_that_contradicts_itself_is_refused(tmp_path, n_bits, n_channels):
    error = refusal(tmp_path, spoilt_format(n_bits, n_channels))
    assert error.reason == "bad_header"
    assert error.message == (
        f"its header contradicts itself: {n_channels} channel(s) of {n_bits} bits a sample, and 2 bytes a frame"
    )
