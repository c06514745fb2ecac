"""Ogg files of several streams are read to their end, and pages that the decoder would skip are reported."""

import random
import struct

import numpy as np
import pytest
import soundfile
from made_audio import speechlike, write_audio

from k2d.data.audio import AudioError, AudioSource, check, probe, read, stream

KINDS = {"vorbis": ("VORBIS", 22_050), "opus": ("OPUS", 48_000)}


def encoded(path, duration_s: float, kind: str, seed: int = 0, rate_hz: int = 0) -> tuple[bytes, np.ndarray]:
    """An Ogg file's bytes, and the samples that libsndfile gives for it alone."""
    subtype, usual_hz = KINDS[kind]
    rate_hz = rate_hz or usual_hz
    write_audio(path, speechlike(duration_s, rate_hz, seed), rate_hz, format="OGG", subtype=subtype)
    return path.read_bytes(), soundfile.read(path, dtype="float32")[0]


def joined(tmp_path, kind: str) -> tuple[AudioSource, np.ndarray]:
    parts = [encoded(tmp_path / str(n), duration_s, kind, n) for n, duration_s in enumerate((1.5, 2.5, 0.7))]
    (tmp_path / "joined.ogg").write_bytes(b"".join(content for content, _ in parts))
    return AudioSource(tmp_path / "joined.ogg"), np.concatenate([samples for _, samples in parts])


def refusal(tmp_path, content: bytes) -> AudioError:
    (tmp_path / "bad.ogg").write_bytes(content)
    with pytest.raises(AudioError) as caught:
        probe(AudioSource(tmp_path / "bad.ogg"))
    with pytest.raises(AudioError):
        check(AudioSource(tmp_path / "bad.ogg"))
    assert caught.value.remedy
    return caught.value


def page_starts(content: bytes) -> list[int]:
    return [at for at in range(len(content)) if content.startswith(b"OggS", at)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_files_joined_are_read_one_after_another(tmp_path, kind):
    source, expected = joined(tmp_path, kind)
    info, rate_hz = probe(source), KINDS[kind][1]
    assert (info.container, info.subtype, info.n_frames) == ("ogg", KINDS[kind][0], len(expected))
    assert info.duration_s == pytest.approx(4.7, abs=1e-3)
    assert check(source).info == info
    np.testing.assert_array_equal(read(source, rate_hz=rate_hz), expected)
    np.testing.assert_array_equal(np.concatenate(list(stream(source, 0.4, rate_hz=rate_hz))), expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.slow
def test_a_segment_of_joined_files_is_the_slice_of_all(tmp_path, kind):
    """Also without the facts of an earlier probe, and across the borders of streams."""
    source, expected = joined(tmp_path, kind)
    info, rate_hz = probe(source), KINDS[kind][1]
    for start_s in (0.0, 1.2, 1.49, 1.5, 2.0, 3.6, 3.99, 4.0, 4.5):
        for expect in (info, None):
            segment = read(source, start_s, min(start_s + 0.8, 4.7), rate_hz=rate_hz, expect=expect)
            at = round(start_s * rate_hz)
            np.testing.assert_allclose(segment, expected[at : at + len(segment)], rtol=0, atol=1e-6)


def test_joined_files_of_two_rates_are_refused_with_both(tmp_path):
    one, two = encoded(tmp_path / "1", 1, "vorbis")[0], encoded(tmp_path / "2", 1, "vorbis", rate_hz=16_000)[0]
    error = refusal(tmp_path, one + two)
    assert error.reason == "mixed_streams"
    assert error.message == (
        "holds 2 Ogg streams that do not fit together: stream 1 is VORBIS with 22,050 Hz and 1 channel(s), "
        "stream 2 is VORBIS with 16,000 Hz and 1 channel(s)"
    )


def test_a_file_joined_to_itself_is_refused(tmp_path):
    content = encoded(tmp_path / "1", 1, "vorbis")[0]
    error = refusal(tmp_path, content + content)
    assert error.reason == "repeated_stream"
    assert f"two of its streams, at byte 0 and at byte {len(content):,}, have one serial number" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_page_is_reported_at_any_place(tmp_path, kind):
    """libsndfile skips such a page. Near an end, the file becomes shorter without an error."""
    content = encoded(tmp_path / "whole.ogg", 4, kind)[0]
    starts = page_starts(content)
    for at, end in zip(starts, [*starts[1:], len(content)], strict=True):
        spoilt = bytearray(content)
        spoilt[end - 1] ^= 0x55
        error = refusal(tmp_path, bytes(spoilt))
        assert error.reason == "damaged"
        assert f"its Ogg page at byte {at:,} of {len(content):,} has a wrong checksum" in error.message


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_byte_makes_a_recording_shorter(tmp_path, kind):
    content, samples = encoded(tmp_path / "whole.ogg", 2, kind)
    for seed in range(60):
        spoilt = bytearray(content)
        spoilt[random.Random(seed).randrange(len(spoilt))] ^= 1 << seed % 8
        (tmp_path / "a.ogg").write_bytes(spoilt)
        with pytest.raises(AudioError):
            probe(AudioSource(tmp_path / "a.ogg"))
    assert probe(AudioSource(tmp_path / "whole.ogg")).n_frames == len(samples)


def test_a_missing_page_is_reported(tmp_path):
    content = encoded(tmp_path / "whole.ogg", 4, "vorbis")[0]
    starts = page_starts(content)
    error = refusal(tmp_path, content[: starts[3]] + content[starts[4] :])
    assert error.reason == "damaged"
    assert f"1 Ogg page is missing before byte {starts[3]:,}" in error.message


def test_a_recording_that_joined_a_running_broadcast_is_read(tmp_path):
    """Its headers are followed by the page that was being sent at that time. No part of the recording is missing."""
    content, samples = encoded(tmp_path / "whole.ogg", 4, "vorbis")
    starts = page_starts(content)
    (tmp_path / "late.ogg").write_bytes(content[: starts[2]] + content[starts[3] :])
    source = AudioSource(tmp_path / "late.ogg")
    assert 0 < probe(source).n_frames < len(samples)
    assert len(read(source, rate_hz=22_050)) == check(source).info.n_frames


@pytest.mark.parametrize(
    "tail", [b"TAG" + bytes(125), bytes(4_096), b"APETAGEX" + bytes(24)], ids=["tag", "zeros", "ape"]
)
def test_tags_after_the_last_page_are_accepted(tmp_path, tail):
    content, samples = encoded(tmp_path / "whole.ogg", 1, "vorbis")
    (tmp_path / "a.ogg").write_bytes(content + tail)
    assert probe(AudioSource(tmp_path / "a.ogg")).n_frames == len(samples)


def test_bytes_outside_of_pages_are_reported(tmp_path):
    content = encoded(tmp_path / "whole.ogg", 1, "vorbis")[0]
    error = refusal(tmp_path, content + b"RIFF" + bytes(range(200)))
    assert error.reason == "damaged"
    assert f"what follows byte {len(content):,} of {len(content) + 204:,} is no Ogg page" in error.message


def test_the_checksum_of_a_page_follows_the_format(tmp_path):
    """A page made by hand, with a checksum computed bit by bit with the polynomial of RFC 3533, is accepted."""

    def checksum(page: bytes) -> int:
        crc = 0
        for byte in page:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ (0x04C11DB7 if crc >> 31 else 0)) & 0xFFFFFFFF
        return crc

    content = bytearray(encoded(tmp_path / "whole.ogg", 1, "vorbis")[0])
    last = page_starts(bytes(content))[-1]
    content[last + 5] ^= 4  # no longer the last page of its stream, as in a recording that was stopped
    content[last + 22 : last + 26] = bytes(4)
    content[last + 22 : last + 26] = struct.pack("<I", checksum(content[last:]))
    (tmp_path / "a.ogg").write_bytes(content)
    assert probe(AudioSource(tmp_path / "a.ogg")).duration_s == pytest.approx(1, abs=1e-3)
