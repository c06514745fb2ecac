"""The samples: segments, channels, rates, streams. All ways of reading give the same samples."""

import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_audio import speechlike, wav_bytes, write_audio

from k2d.core.layout import PROJECT_ROOT
from k2d.data.audio import END_TOLERANCE_S, AudioError, AudioSource, probe, read, stream

FORMATS = {  # how it is written, rate, and how near a segment comes to the slice at the file's own rate
    "wav": ({"format": "WAV", "subtype": "PCM_16"}, 44_100, 0),
    "wav24": ({"format": "WAV", "subtype": "PCM_24"}, 11_025, 0),
    "adpcm": ({"format": "WAV", "subtype": "IMA_ADPCM"}, 8_000, 0),
    "flac": ({"format": "FLAC"}, 48_000, 0),
    "vorbis": ({"format": "OGG", "subtype": "VORBIS"}, 22_050, 1e-6),
    "opus": ({"format": "OGG", "subtype": "OPUS"}, 48_000, 1e-6),
    "mp3": ({"format": "MP3"}, 44_100, 1e-6),
}
DURATION_S = 4.0


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A recording of each format: its source, its facts, all its samples at 16 kHz and at its own rate."""
    made = {}
    for name, (how, rate_hz, tolerance) in FORMATS.items():
        path = tmp_path_factory.mktemp("audio") / name
        source = AudioSource(write_audio(path, speechlike(DURATION_S, rate_hz), rate_hz, **how))
        info = probe(source)
        made[name] = (source, info, read(source), read(source, rate_hz=rate_hz), tolerance)
    return made


def refusal(*args, **how) -> AudioError:
    with pytest.raises(AudioError) as caught:
        read(*args, **how)
    return caught.value


def wav(tmp_path, samples, rate_hz=16_000, subtype="FLOAT", name="a.wav"):
    return AudioSource(write_audio(tmp_path / name, np.asarray(samples, np.float32), rate_hz, subtype=subtype))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.slow
def test_the_whole_file_equals_the_output_of_libsndfile_and_soxr(recordings, name):
    source, info, at_16k, native, _ = recordings[name]
    decoded, rate_hz = soundfile.read(source.path, dtype="float32")
    np.testing.assert_allclose(native, decoded, atol=1e-6)
    np.testing.assert_allclose(at_16k, soxr.resample(decoded, rate_hz, 16_000), atol=1e-6)
    assert len(at_16k) == round(info.duration_s * 16_000)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, DURATION_S - 0.03), st.floats(0.026, DURATION_S))
@pytest.mark.slow
def test_a_segment_is_the_slice_of_the_whole(recordings, name, start_s, length_s):
    source, info, at_16k, native, tolerance = recordings[name]
    end_s = min(start_s + length_s, DURATION_S)
    for rate_hz, whole, atol in ((16_000, at_16k, 2e-6), (info.sample_rate_hz, native, tolerance)):
        segment = read(source, start_s, end_s, rate_hz=rate_hz, expect=info)
        expected = whole[round(start_s * rate_hz) : round(end_s * rate_hz)]
        assert segment.dtype == np.float32
        assert len(segment) == round(end_s * rate_hz) - round(start_s * rate_hz)
        np.testing.assert_allclose(segment, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100])
@pytest.mark.parametrize("duration_s", [0.2, 2.0, 10.0])
@pytest.mark.slow
def test_segments_near_the_end_of_a_vorbis_file(tmp_path, rate_hz, duration_s):
    """libsndfile alone returns shifted samples after a seek into the last page."""
    samples = speechlike(duration_s, rate_hz)
    path = write_audio(tmp_path / "a.ogg", samples, rate_hz, format="OGG", subtype="VORBIS", compression_level=0.9)
    source, info = AudioSource(path), probe(AudioSource(path))
    whole, _ = soundfile.read(path, dtype="float32")
    for start_s in np.linspace(max(0, duration_s - 2), duration_s - 0.03, 40):
        segment = read(source, start_s, rate_hz=rate_hz, expect=info)
        np.testing.assert_allclose(segment, whole[round(start_s * rate_hz) :], rtol=0, atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(4_000, 96_000), st.floats(0, 1.4))
def test_any_rate_gives_segments_that_equal_slices(tmp_path_factory, rate_hz, start_s):
    source = wav(tmp_path_factory.mktemp("rates"), speechlike(1.5, rate_hz), rate_hz)
    np.testing.assert_allclose(
        read(source, start_s, 1.45), read(source)[round(start_s * 16_000) : 23_200], rtol=0, atol=2e-6
    )


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_other_rates_are_resampled_without_shift_or_gain(tmp_path, rate_hz):
    time_s = np.arange(rate_hz) / rate_hz
    source = wav(tmp_path, 0.5 * np.sin(2 * np.pi * 1_000 * time_s), rate_hz)
    expected = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000)
    np.testing.assert_allclose(read(source)[1_000:-1_000], expected[1_000:-1_000], atol=1e-3)


def test_an_end_slightly_beyond_the_file_is_clamped(tmp_path):
    source = wav(tmp_path, speechlike(2))
    np.testing.assert_array_equal(read(source, 1.0, 2.0 + END_TOLERANCE_S), read(source, 1.0))
    assert len(read(source, 1.0, 2.4)) == 16_000


@pytest.mark.parametrize(
    ("start_s", "end_s", "words"),
    [
        (1.0, 2.51, "lies beyond its end by more than 0.5 s"),
        (2.0, 2.2, "segment 2 to 2.2 s of a recording of 2.000 s lies beyond its end"),
        (-0.1, 1.0, "not in order"),
        (1.0, 1.0, "not in order"),
        (float("nan"), 1.0, "not in order"),
        (0.0, float("inf"), "not in order"),
    ],
)
def test_times_outside_the_file_are_refused(tmp_path, start_s, end_s, words):
    error = refusal(wav(tmp_path, speechlike(2)), start_s, end_s)
    assert error.reason == "segment_out_of_range"
    assert words in error.message


def test_a_segment_shorter_than_a_frame(tmp_path):
    source = wav(tmp_path, speechlike(2))
    assert refusal(source, 1.0, 1.005).reason == "too_short"
    assert refusal(source, 1.99, 2.4).reason == "too_short"  # after the end is drawn back
    assert len(read(source, 1.0, 1.025)) == 400


def test_stereo_is_the_mean_or_the_chosen_channel(tmp_path):
    left, right = speechlike(1), speechlike(1, seed=1)[::-1]
    source = wav(tmp_path, np.stack([left, right], axis=1))
    np.testing.assert_allclose(read(source), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(read(source, channel=0), left)
    np.testing.assert_array_equal(read(source, channel=1), right)
    assert refusal(source, channel=2).reason == "no_such_channel"


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_channel_does_not_halve_the_level(tmp_path, dead):
    frames = np.stack([speechlike(1), speechlike(1)], axis=1)
    frames[:, dead] = 0
    source = wav(tmp_path, frames)
    np.testing.assert_array_equal(read(source), speechlike(1))
    np.testing.assert_array_equal(np.concatenate(list(stream(source, 0.3))), speechlike(1))


def test_both_channels_dead_is_silence(tmp_path):
    assert not read(wav(tmp_path, np.zeros((16_000, 2)))).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(tmp_path, bad):
    samples = speechlike(1)
    samples[8_000] = bad
    source = wav(tmp_path, samples)
    error = refusal(source)
    assert (error.reason, error.message) == ("nan_samples", "holds 1 samples that are no numbers (NaN or infinite)")
    with pytest.raises(AudioError, match="no numbers"):
        list(stream(source, 0.2))
    assert len(read(source, 0.6, 1.0)) == 6_400  # a segment without them is good
    assert len(read(wav(tmp_path, np.stack([speechlike(1), samples], axis=1)), channel=0)) == 16_000


def test_zeros_and_dc_are_read_as_they_are(tmp_path):
    assert not read(wav(tmp_path, np.zeros(16_000))).any()
    np.testing.assert_array_equal(read(wav(tmp_path, np.full(16_000, 0.25))), 0.25)


def test_floats_beyond_full_scale_are_kept(tmp_path):
    assert read(wav(tmp_path, 4 * speechlike(1))).max() == pytest.approx(4 * speechlike(1).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("window_s", [0.37, 3.0, 60.0])
def test_windows_of_a_stream_put_together_equal_one_read(recordings, name, window_s):
    source, info, at_16k, native, _ = recordings[name]
    windows = list(stream(source, window_s))
    np.testing.assert_array_equal(np.concatenate(windows), at_16k)
    bounds = [round(k * window_s * 16_000) for k in range(len(windows) + 1)]
    assert [len(w) for w in windows[:-1]] == np.diff(bounds)[:-1].tolist()
    np.testing.assert_array_equal(np.concatenate(list(stream(source, window_s, rate_hz=info.sample_rate_hz))), native)


def test_a_stream_of_stereo_equals_its_read_although_a_channel_begins_late(tmp_path):
    frames = np.stack([speechlike(6), speechlike(6)], axis=1)
    frames[: 5 * 16_000, 1] = 0  # silent for longer than a block
    source = wav(tmp_path, frames)
    np.testing.assert_array_equal(np.concatenate(list(stream(source, 1))), read(source))


def test_a_window_without_a_sample_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no sample"):
        next(stream(wav(tmp_path, speechlike(1)), 0.0))


def test_a_changed_or_deleted_file_is_reported(tmp_path):
    source = wav(tmp_path, speechlike(1))
    info = probe(source)
    assert len(read(source, expect=info)) == 16_000
    wav(tmp_path, speechlike(2))
    assert refusal(source, expect=info).reason == "changed"
    with pytest.raises(AudioError, match="was changed since it was planned"):
        next(stream(source, 1, expect=info))
    source.path.unlink()
    assert "was there when it was planned, and now there is no such file" in refusal(source, expect=info).message


def test_the_same_size_at_another_time_is_a_change(tmp_path):
    source = wav(tmp_path, speechlike(1))
    info = probe(source)
    os.utime(source.path, ns=(info.mtime_ns, info.mtime_ns + 1))
    assert refusal(source, expect=info).reason == "changed"


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "opus"])
def test_a_short_read_of_trusted_audio_is_truncated_not_silent(recordings, name):
    source, info, *_ = recordings[name]
    error = refusal(source, expect=replace(info, n_frames=info.n_frames + info.sample_rate_hz))
    assert error.reason == "truncated"
    assert "frames up to 5.000 s are promised, they end at 4.000 s" in error.message


def test_damage_in_the_middle_of_a_flac_is_found_when_it_is_read(tmp_path):
    path = write_audio(tmp_path / "a.flac", speechlike(4))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    info = probe(AudioSource(path))  # header and last block are whole
    assert len(read(AudioSource(path), 0, 1, expect=info)) == 16_000
    assert refusal(AudioSource(path)).reason == "damaged"


def test_long_recordings_are_not_decoded_for_a_segment(tmp_path):
    """One second from the end of a sparse file of 100 hours. Decoding all of it would take minutes."""
    path, data_bytes = tmp_path / "long.wav", 100 * 3600 * 4_000 * 2
    header = wav_bytes(0, rate_hz=4_000, riff_size=data_bytes + 36, data_size=data_bytes)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + data_bytes)
    assert len(read(AudioSource(path), 359_990, 359_991)) == 16_000


STREAM = """
    import resource, sys
    from pathlib import Path
    from k2d.data.audio import AudioSource, stream
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n = sum(len(window) for window in stream(AudioSource(Path(sys.argv[1])), 30.0))
    print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_two_hours_stream_in_bounded_memory(tmp_path, rate_hz):
    path, data_bytes = tmp_path / "lecture.wav", 2 * 3600 * rate_hz * 2
    header = wav_bytes(0, rate_hz=rate_hz, riff_size=data_bytes + 36, data_size=data_bytes)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + data_bytes)
    command = [sys.executable, "-c", textwrap.dedent(STREAM), str(path)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    n_samples, grown_kib = map(int, done.stdout.split())
    assert n_samples == 2 * 3600 * 16_000
    assert grown_kib < 16 * 1024  # a tenth of it would be more; a few blocks are 10 MiB
