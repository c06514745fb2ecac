"""Results of `probe` for good and bad files, which are recognised by their content."""

import struct

import numpy as np
import pytest
from made_audio import speechlike, wav_bytes, write_audio

from k2d.data.audio import AudioError, AudioSource, probe, read


@pytest.fixture
def refused(tmp_path):
    """The AudioError for a file with this content and name."""

    def refuse(content: bytes, name: str = "a.wav") -> AudioError:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AudioError) as caught:
            probe(AudioSource(tmp_path / name))
        assert str(tmp_path / name) in str(caught.value)
        assert caught.value.remedy
        return caught.value

    return refuse


def encoded(tmp_path, duration_s=3.0, rate_hz=16_000, **how) -> bytes:
    return write_audio(tmp_path / "whole", speechlike(duration_s, rate_hz), rate_hz, **how).read_bytes()


COMPRESSED = {
    "flac": {"format": "FLAC"},
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {"format": "MP3"},
}


def test_probe_returns_the_facts(tmp_path):
    path = write_audio(tmp_path / "a.flac", speechlike(1.5, 22_050), 22_050)
    info = probe(AudioSource(path))
    assert (info.container, info.subtype, info.sample_rate_hz, info.n_channels) == ("flac", "PCM_16", 22_050, 1)
    assert (info.n_frames, info.duration_s) == (33_075, 1.5)
    assert (info.size_bytes, info.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)


def test_zero_bytes(refused):
    assert refused(b"").reason == "empty_file"


@pytest.mark.parametrize("content", [wav_bytes(0), wav_bytes(0, after=b"LIST\4\0\0\0abcd")], ids=["bare", "list"])
def test_a_header_without_samples(refused, content):
    assert refused(content).reason == "no_samples"


@pytest.mark.parametrize("n_lost", [1, 100, 8_000, 15_990])
def test_a_truncated_wav(refused, n_lost):
    error = refused(wav_bytes()[:-n_lost])
    assert error.reason == "truncated"
    assert f"promises 16,000 bytes, {16_000 - n_lost:,} are there" in error.message


def test_a_wav_cut_within_its_header(refused):
    assert refused(wav_bytes()[:30]).reason == "truncated"


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.999])
@pytest.mark.slow
def test_a_truncated_compressed_file(refused, tmp_path, kind, kept):
    content = encoded(tmp_path, **COMPRESSED[kind])
    assert refused(content[: int(kept * len(content))]).reason == "truncated"


@pytest.mark.parametrize("kind", COMPRESSED)
def test_one_missing_byte_is_found(refused, tmp_path, kind):
    assert refused(encoded(tmp_path, **COMPRESSED[kind])[:-1]).reason == "truncated"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "is a web page"),
        (b"\xef\xbb\xbf\r\n  <html>", "is a web page"),
        (b'{"error": "quota exceeded"}', "is JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"PK\x03\x04" + bytes(60), "ZIP archive"),
        (bytes(1_000), "is not WAV, FLAC, MP3 or Ogg"),
    ],
)
def test_files_that_are_not_audio_are_named_by_their_kind(refused, content, words):
    error = refused(content)
    assert error.reason == "not_audio"
    assert words in error.message


def test_git_lfs_pointers_get_their_remedy(refused):
    assert refused(b"version https://git-lfs.github.com/spec/v1\n").remedy == "fetch the file with `git lfs pull`"


@pytest.mark.parametrize("kind", COMPRESSED)
def test_the_content_decides_and_not_the_name(tmp_path, kind):
    path = tmp_path / "wrong.wav"
    path.write_bytes(encoded(tmp_path, **COMPRESSED[kind]))
    assert probe(AudioSource(path)).duration_s == pytest.approx(3, abs=1e-9)


@pytest.mark.parametrize("n_tags", [1, 2, 3])
@pytest.mark.parametrize("kind", [*COMPRESSED, "wav"])
@pytest.mark.slow
def test_id3_tags_before_the_audio_are_skipped(tmp_path, kind, n_tags):
    content = encoded(tmp_path, **COMPRESSED.get(kind, {"format": "WAV"}))
    tag = b"ID3\x04\x00\x00\0\0\x01\x02" + bytes(130)
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "tagged").write_bytes(n_tags * tag + content)
    plain, tagged = AudioSource(tmp_path / "plain"), AudioSource(tmp_path / "tagged")
    assert probe(tagged).n_frames == probe(plain).n_frames
    np.testing.assert_array_equal(read(tagged, 1.0, 2.0), read(plain, 1.0, 2.0))


def test_tags_without_audio_are_reported(refused):
    error = refused(3 * (b"ID3\x04\x00\x00\0\0\0\x02" + bytes(2)))
    assert (error.reason, error.message) == ("no_samples", "holds ID3 tags and nothing else")


def test_a_wav_file_named_mp3_is_read(tmp_path):
    (tmp_path / "a.mp3").write_bytes(wav_bytes())
    assert probe(AudioSource(tmp_path / "a.mp3")).container == "wav"


@pytest.mark.parametrize("rate_hz", [0, 1, 3_999, 384_001, 1_000_000])
def test_absurd_rates(refused, rate_hz):
    error = refused(wav_bytes(rate_hz=rate_hz))
    assert error.reason == "bad_rate"
    assert f"{rate_hz:,} Hz" in error.message


@pytest.mark.parametrize("rate_hz", [4_000, 384_000])
def test_the_lowest_and_highest_rates_are_accepted(tmp_path, rate_hz):
    (tmp_path / "a.wav").write_bytes(wav_bytes(20_000, rate_hz=rate_hz))
    assert probe(AudioSource(tmp_path / "a.wav")).sample_rate_hz == rate_hz


def test_eight_channels_need_a_choice(refused, tmp_path):
    error = refused(wav_bytes(n_channels=8))
    assert (error.reason, error.remedy) == ("too_many_channels", "choose a channel")
    source = AudioSource(tmp_path / "a.wav")
    assert probe(source, channel=7).n_channels == 8
    ramp = (np.arange(64_000) % 2_000).reshape(-1, 8)[:, 7] / 32_768
    np.testing.assert_array_equal(read(source, channel=7), ramp.astype(np.float32))
    with pytest.raises(AudioError, match="has no channel 8: its channels are 0 to 7"):
        probe(source, channel=8)


def test_shorter_than_a_frame(refused, tmp_path):
    error = refused(wav_bytes(80))
    assert error.reason == "too_short"
    assert "lasts 5.0 ms" in error.message
    (tmp_path / "b.wav").write_bytes(wav_bytes(400))  # 25 ms, one frame
    assert probe(AudioSource(tmp_path / "b.wav")).n_frames == 400


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64"])
def test_encodings_of_wav(tmp_path, container, subtype):
    path = write_audio(tmp_path / "a.wav", speechlike(0.5), format=container, subtype=subtype)
    assert probe(AudioSource(path)).n_frames == 8_000
    tolerance = 0.03 if subtype in ("PCM_U8", "ULAW", "ALAW") else 1e-4
    np.testing.assert_allclose(read(AudioSource(path)), speechlike(0.5), atol=tolerance)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM"])
def test_adpcm(tmp_path, subtype):
    path = write_audio(tmp_path / "a.wav", speechlike(0.5), format="WAV", subtype=subtype)
    samples = read(AudioSource(path))
    assert 8_000 <= len(samples) <= 8_500  # ADPCM fills up its last block
    np.testing.assert_allclose(samples[:8_000], speechlike(0.5), atol=0.1)


def test_an_encoding_without_seeking_is_refused(refused, tmp_path):
    error = refused(encoded(tmp_path, rate_hz=8_000, format="WAV", subtype="GSM610"))
    assert error.reason == "unsupported_encoding"
    assert "GSM610" in error.message


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000, 0])
def test_a_wav_from_a_pipe_is_read_to_its_real_end(tmp_path, size):
    (tmp_path / "a.wav").write_bytes(wav_bytes(riff_size=size, data_size=size))
    source = AudioSource(tmp_path / "a.wav")
    assert probe(source).n_frames == 8_000
    np.testing.assert_array_equal(read(source), ((np.arange(8_000) % 2_000) / 32_768).astype(np.float32))


def rf64(content: bytes, data_bytes: int) -> bytes:
    """Convert a WAV file to RF64: all bits of the 32-bit sizes are set, and a ds64 chunk has the true sizes."""
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, data_bytes + 72, data_bytes, data_bytes // 2, 0)
    body = content[12:].replace(b"data" + struct.pack("<I", data_bytes), b"data\xff\xff\xff\xff")
    return b"RF64\xff\xff\xff\xffWAVE" + sizes + body


def test_rf64_by_real_length_and_truncated(refused, tmp_path):
    content = rf64(wav_bytes(), 16_000)
    (tmp_path / "b.wav").write_bytes(content)
    info = probe(AudioSource(tmp_path / "b.wav"))
    assert (info.container, info.n_frames) == ("rf64", 8_000)
    assert refused(content[:-2]).reason == "truncated"


def test_rf64_of_more_than_4_gb(tmp_path):
    path, data_bytes = tmp_path / "long.wav", 5_000_000_000
    header = rf64(wav_bytes(0), 0).replace(struct.pack("<QQ", 72, 0), struct.pack("<QQ", data_bytes + 72, data_bytes))
    path.write_bytes(header)
    with path.open("r+b") as file:
        file.truncate(len(header) + data_bytes)  # sparse: it takes no room
        file.seek(len(header) + data_bytes - 2)
        file.write(struct.pack("<h", 16_384))
    info = probe(AudioSource(path))
    assert info.n_frames == 2_500_000_000
    last = read(AudioSource(path), info.duration_s - 1, info.duration_s, expect=info)
    assert (len(last), last[-1], np.count_nonzero(last)) == (16_000, 0.5, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\0\x20ftypisom" + bytes(50), "MP4"),
        (b"\0\0\0\x20ftypaax " + bytes(50), "may be protected"),
        (b"\x1aE\xdf\xa3" + bytes(60), "Matroska or WebM"),
        (b"RIFF\0\0\0\0AVI " + bytes(50), "AVI"),
        (b"0&\xb2u\x8ef\xcf\x11" + bytes(50), "WMA"),
        (b"\xff\xf1P\x80" + bytes(50), "AAC"),
    ],
)
def test_video_and_protected_containers(refused, content, words):
    error = refused(content, "a.mp3")
    assert error.reason == "unsupported_container"
    assert words in error.message
    assert "ffmpeg" in error.remedy


@pytest.mark.parametrize("how", [{"format": "AIFF"}, {"format": "CAF"}, {"format": "AU"}, {"format": "W64"}])
def test_rare_containers_never_reach_the_decoder(refused, tmp_path, how):
    assert refused(encoded(tmp_path, 0.2, **how)).reason == "unsupported_container"


def test_a_flac_from_a_pipe_without_a_length_is_refused(refused, tmp_path):
    content = bytearray(encoded(tmp_path, format="FLAC"))
    content[21] &= 0xF0  # the 36 bits of STREAMINFO that hold the number of samples
    content[22:26] = bytes(4)
    assert refused(bytes(content)).reason == "no_length"


def test_junk_behind_a_riff_header_is_refused_by_the_decoder(refused):
    assert refused(b"RIFF\x40\0\0\0WAVEfmt \x10\0\0\0" + bytes(16) + b"data\x10\0\0\0" + bytes(16)).reason == "bad_rate"
    assert refused(b"OggS" + bytes(200)).reason == "damaged"
