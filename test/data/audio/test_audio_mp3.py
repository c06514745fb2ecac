"""MP3: segments equal the whole decode, lengths without a header are found, and nothing is printed by the decoder."""

import os

import numpy as np
import pytest
import soundfile
from made_audio import speechlike, write_audio

from k2d.data.audio import AudioError, AudioSource, check, probe, read, stream
from k2d.data.audio.mp3 import hushed

BITRATES = [  # rate, mode, level: the last ones lean on the bit reservoir as far as it goes
    (44_100, "CONSTANT", 0.5),
    (44_100, "VARIABLE", 0.5),
    (48_000, "VARIABLE", 0.99),
    (44_100, "CONSTANT", 0.99),
    (22_050, "CONSTANT", 0.99),
    (24_000, "CONSTANT", 0.99),
]


def mp3(path, duration_s=8.0, rate_hz=44_100, mode="VARIABLE", level=0.5) -> AudioSource:
    samples = speechlike(duration_s, rate_hz)
    return AudioSource(write_audio(path, samples, rate_hz, bitrate_mode=mode, compression_level=level))


def without_length(content: bytes) -> bytes:
    """Remove the first frame of a 44.1 kHz file, which has the length and no audio."""
    kbps = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)[content[2] >> 4]
    return content[144_000 * kbps // 44_100 + (content[2] >> 1 & 1) :]


def frame_starts(content: bytes) -> list[int]:
    """The offsets of the frames of a 44.1 kHz file."""
    starts, at = [], 0
    while at + 4 <= len(content) and content[at] == 0xFF:
        starts.append(at)
        at += len(content[at:]) - len(without_length(content[at:]))
    return starts


@pytest.mark.parametrize(("rate_hz", "mode", "level"), BITRATES)
@pytest.mark.slow
def test_segments_equal_the_slice_of_a_whole_decode_and_print_nothing(tmp_path, capfd, rate_hz, mode, level):
    source = mp3(tmp_path / "a.mp3", 12.0, rate_hz, mode, level)
    info = probe(source)
    whole, _ = soundfile.read(source.path, dtype="float32")  # one call, no seeking: the truth
    assert info.n_frames == len(whole)
    for start_s in np.random.default_rng(0).uniform(0, 11, 12):
        segment = read(source, start_s, start_s + 0.5, rate_hz=rate_hz, expect=info)
        at = round(start_s * rate_hz)
        np.testing.assert_allclose(segment, whole[at : at + len(segment)], rtol=0, atol=1e-5)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_blocks_of_a_stream_do_not_lose_the_bit_reservoir(tmp_path):
    """soundfile seeks after each read. In an MP3, this damages the start of each block."""
    source = mp3(tmp_path / "a.mp3", 20.0, 48_000, "VARIABLE", 0.99)
    whole, _ = soundfile.read(source.path, dtype="float32")
    np.testing.assert_allclose(np.concatenate(list(stream(source, 1, rate_hz=48_000))), whole, atol=1e-6)
    with soundfile.SoundFile(source.path) as file:
        naive = np.concatenate([file.read(1 << 16, dtype="float32") for _ in range(15)])
    assert np.abs(naive - whole[: len(naive)]).max() > 0.01  # if this fails, the work-around may go


@pytest.mark.parametrize("tag_bytes", [10, 2_048, 200_000])
@pytest.mark.slow
def test_an_id3_tag_before_the_audio_changes_nothing(tmp_path, tag_bytes):
    source = mp3(tmp_path / "a.mp3")
    plain = read(source)
    size = bytes([0, tag_bytes >> 14 & 127, tag_bytes >> 7 & 127, tag_bytes & 127])
    tag = b"ID3\x04\x00\x00" + size + bytes(tag_bytes)
    source.path.write_bytes(tag + source.path.read_bytes() + b"TAG" + bytes(125))
    np.testing.assert_array_equal(read(source), plain)


@pytest.mark.slow
def test_constant_rate_without_a_length_header_is_counted(tmp_path):
    source = mp3(tmp_path / "a.mp3", mode="CONSTANT")
    source.path.write_bytes(without_length(source.path.read_bytes()) + b"TAG" + bytes(125))
    info = probe(source)
    assert info.n_frames % 1_152 == 0
    assert 8 * 44_100 <= info.n_frames < 8 * 44_100 + 3 * 1_152
    assert len(read(source, rate_hz=44_100)) == info.n_frames


def test_variable_rate_without_a_length_header_is_refused(tmp_path):
    """libsndfile would read 2 s of these 8 and report no error."""
    source = mp3(tmp_path / "a.mp3", mode="VARIABLE")
    source.path.write_bytes(without_length(source.path.read_bytes()))
    assert soundfile.info(source.path).duration < 4
    with pytest.raises(AudioError, match="only a part of it would be read") as caught:
        probe(source)
    assert caught.value.reason == "no_length"


@pytest.mark.slow
def test_a_cut_is_also_found_without_a_length_header(tmp_path):
    source = mp3(tmp_path / "a.mp3", mode="CONSTANT")
    source.path.write_bytes(without_length(source.path.read_bytes())[:-1])
    with pytest.raises(AudioError, match="its last frame needs") as caught:
        probe(source)
    assert caught.value.reason == "truncated"


ID3V1, ID3V2 = b"TAG" + bytes(125), b"ID3\x04\x00\x00\0\0\0\x0a" + bytes(10)
APE = b"APETAGEX" + (2_000).to_bytes(4, "little") + (40).to_bytes(4, "little") + bytes(16) + bytes(8 + 40 - 32)


@pytest.mark.parametrize(
    "between", [b"", ID3V1, ID3V2, ID3V1 + ID3V2, bytes(500)], ids=["", "v1", "v2", "both", "zeros"]
)
@pytest.mark.slow
def test_files_joined_are_refused_with_both_lengths(tmp_path, between):
    """The header of the first counts only its own frames. libsndfile reads these and reports no error."""
    one, two = mp3(tmp_path / "1.mp3", 3.0), mp3(tmp_path / "2.mp3", 2.0)
    joined = AudioSource(tmp_path / "joined.mp3")
    joined.path.write_bytes(one.path.read_bytes() + between + two.path.read_bytes())
    assert soundfile.info(joined.path).duration == pytest.approx(3, abs=0.01)
    with pytest.raises(AudioError, match=r"its length header promises 3\.0\d+ s, its frames hold 5\.\d+ s") as caught:
        probe(joined)
    assert caught.value.reason == "wrong_length"
    assert "ffmpeg" in caught.value.remedy
    with pytest.raises(AudioError, match="its frames hold"):
        check(joined)


def test_a_very_short_joined_file_is_found_by_its_header(tmp_path):
    one, two = mp3(tmp_path / "1.mp3", 3.0), mp3(tmp_path / "2.mp3", 0.05)
    one.path.write_bytes(one.path.read_bytes() + two.path.read_bytes())
    with pytest.raises(AudioError, match="a second file begins at byte") as caught:
        probe(one)
    assert caught.value.reason == "wrong_length"


def test_files_joined_without_length_headers_are_read_to_the_end(tmp_path):
    content = without_length(mp3(tmp_path / "1.mp3", 3.0, mode="CONSTANT").path.read_bytes())
    joined = AudioSource(tmp_path / "joined.mp3")
    joined.path.write_bytes(content + ID3V1 + ID3V2 + content)
    info = probe(joined)
    assert info.duration_s == pytest.approx(6, abs=0.15)
    assert len(read(joined, rate_hz=44_100)) == info.n_frames


@pytest.mark.parametrize("n_kept", [3, 40, 100])
@pytest.mark.slow
def test_a_cut_between_two_frames_is_found(tmp_path, n_kept):
    source = mp3(tmp_path / "a.mp3")
    content = source.path.read_bytes()
    source.path.write_bytes(content[: frame_starts(content)[n_kept]])
    with pytest.raises(AudioError, match=r"its length header promises 8\.\d+ s, its frames hold") as caught:
        probe(source)
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.slow
def test_no_flipped_byte_makes_a_recording_shorter(tmp_path, mode):
    """The file is refused or keeps its length, even if the byte is in the first frames, which state the length."""
    content = mp3(tmp_path / "whole.mp3", 4.0, mode=mode).path.read_bytes()
    n_frames = probe(AudioSource(tmp_path / "whole.mp3")).n_frames
    frames = frame_starts(content)
    rng = np.random.default_rng(0)
    places = [*range(4), *range(36, 60), *(frames[1] + n for n in range(4)), *rng.integers(0, len(content), 60)]
    n_read = 0
    for number, at in enumerate(places):
        spoilt = bytearray(content)
        spoilt[at] ^= 1 << number % 8
        (tmp_path / "a.mp3").write_bytes(spoilt)
        try:
            info = check(AudioSource(tmp_path / "a.mp3")).info
        except AudioError:
            continue
        n_read += 1
        assert abs(info.n_frames - n_frames) <= 0.2 * info.sample_rate_hz, at
    assert n_read > 20


def test_junk_after_the_frames_of_the_header_is_accepted(tmp_path):
    source = mp3(tmp_path / "a.mp3")
    plain = read(source)
    source.path.write_bytes(source.path.read_bytes() + APE + ID3V1 + b"junk" * 20)
    assert probe(source).n_frames > 0
    np.testing.assert_array_equal(read(source), plain)


@pytest.mark.slow
def test_damage_is_counted_and_not_printed(tmp_path, capfd):
    source = mp3(tmp_path / "a.mp3", mode="CONSTANT")
    assert check(source).n_complaints == 0
    content = bytearray(source.path.read_bytes())
    for frame in range(100, 110):  # spoil the insides of ten frames of 522 bytes and more, not their headers
        at = content.index(content[:2], frame * 522)
        content[at + 4 : at + 20] = bytes([0xEE]) * 16
    source.path.write_bytes(content)
    assert check(source).n_complaints > 0
    assert capfd.readouterr().err == ""


def test_hushing_keeps_the_output_of_others(capfd):
    with hushed() as complaints:
        os.write(2, b"[src/libmpg123/layer3.c:1] error: part2_3_length\nWarning: Xing stream size off\n")
        os.write(2, b"something serious\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "something serious\nafterwards\n"
    assert len(complaints) == 2


def test_hushing_ends_when_the_block_raises(capfd):
    with pytest.raises(KeyError), hushed():
        raise KeyError
    os.write(2, b"output\n")
    assert capfd.readouterr().err == "output\n"
