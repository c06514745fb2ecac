"""Checks by decoding all audio: findings, the hash of the samples, and decoders that crash."""

import random

import numpy as np
import pytest
from made_audio import check_or_die, speechlike, wav_bytes, write_audio

from k2d.core.workers import run_each
from k2d.data.audio import AudioCheck, AudioError, AudioSource, check, clipped_share


def wav(path, samples, rate_hz=16_000) -> AudioSource:
    return AudioSource(write_audio(path, np.asarray(samples, np.float32), rate_hz, format="WAV", subtype="FLOAT"))


def test_good_speech_has_no_findings(tmp_path):
    found = check(wav(tmp_path / "a.wav", speechlike(6)))
    assert (found.info.n_frames, found.clipped_share, found.is_silent, found.n_complaints) == (96_000, 0, False, 0)
    assert found.peak == np.abs(speechlike(6)).max()


@pytest.mark.parametrize("at", [100, 90_000])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_anywhere_is_found(tmp_path, bad, at):
    samples = speechlike(6)
    samples[at] = bad
    with pytest.raises(AudioError, match="holds 1 samples that are no numbers") as caught:
        check(wav(tmp_path / "a.wav", samples))
    assert caught.value.reason == "nan_samples"


@pytest.mark.parametrize("level", [0.0, 0.25, -1.0])
def test_zeros_and_dc_are_silent(tmp_path, level):
    found = check(wav(tmp_path / "a.wav", np.full((96_000, 2), [0, level])))
    assert found.is_silent
    assert found.peak == abs(level)


def test_one_other_sample_is_not_silence(tmp_path):
    samples = np.zeros(96_000)
    samples[-1] = 1e-4
    assert not check(wav(tmp_path / "a.wav", samples)).is_silent


def test_the_clipped_share(tmp_path):
    samples = np.zeros(1_000)
    samples[:100], samples[100:150], samples[150] = 1.5, -1.0, 32_767 / 32_768
    assert check(wav(tmp_path / "a.wav", samples)).clipped_share == 0.151
    assert clipped_share(samples.astype(np.float32)) == 0.151
    assert clipped_share(np.zeros(0, np.float32)) == 0


def test_a_clipped_file_of_16_bits_is_counted(tmp_path):
    path = write_audio(tmp_path / "a.flac", np.repeat([2.0, -2.0, 0.1, 0.2], 1_000))
    assert check(AudioSource(path)).clipped_share == 0.5


def test_the_same_audio_has_the_same_hash_in_wav_and_flac(tmp_path):
    frames = (np.stack([speechlike(6), speechlike(6, seed=1)], axis=1) * 32_767).astype(np.int16)
    one = check(AudioSource(write_audio(tmp_path / "a.wav", frames))).sha256
    two = check(AudioSource(write_audio(tmp_path / "b.flac", frames))).sha256
    assert one == two
    others = [
        check(AudioSource(write_audio(tmp_path / "c.wav", frames[:-1]))).sha256,
        check(AudioSource(write_audio(tmp_path / "d.wav", frames[:, ::-1]))).sha256,
        check(AudioSource(write_audio(tmp_path / "e.wav", frames, 8_000))).sha256,
        check(AudioSource(write_audio(tmp_path / "f.wav", frames.reshape(-1)))).sha256,
    ]
    assert len({one, *others}) == 5


def test_damage_in_the_middle_of_a_flac(tmp_path):
    path = write_audio(tmp_path / "a.flac", speechlike(6))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"is damaged: decoding fails after \d\.\d+ s") as caught:
        check(AudioSource(path))
    assert caught.value.reason == "damaged"


@pytest.mark.slow
def test_a_file_that_crashes_the_decoder_affects_no_other_file(tmp_path):
    names = ["a", "b", "poison", "c", "d"]
    sources = [wav(tmp_path / f"{name}.wav", speechlike(0.2)) for name in names]
    (tmp_path / "d.wav").write_bytes(wav_bytes()[:-100])
    outcomes = {o.item.path.stem: o for o in run_each(check_or_die, sources, nj=2, limit_s=60)}
    assert sorted(outcomes) == sorted(names)
    assert outcomes["poison"].error == "the worker process died (signal SIGSEGV)"
    assert all(isinstance(outcomes[name].value, AudioCheck) for name in "abc")
    assert isinstance(outcomes["d"].exception, AudioError)
    assert outcomes["d"].exception.reason == "truncated"


FUZZED = {
    "vorbis": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "flac": {"format": "FLAC"},
    "mp3": {"format": "MP3"},
    "wav": {"format": "WAV", "subtype": "IMA_ADPCM"},
}


@pytest.mark.parametrize("kind", FUZZED)
def test_fuzzed_files_are_good_or_have_a_named_reason(tmp_path, kind):
    """Forty damaged copies: an error other than an AudioError would fail this test."""
    whole = write_audio(tmp_path / "whole", speechlike(1), **FUZZED[kind]).read_bytes()
    reasons = set()
    for seed in range(40):
        rng = random.Random(seed)
        content = bytearray(whole)
        for _ in range(rng.randint(1, 30)):
            content[rng.randrange(len(content) if seed % 2 else 200)] = rng.randrange(256)
        (tmp_path / "fuzzed").write_bytes(content)
        try:
            check(AudioSource(tmp_path / "fuzzed"))
        except AudioError as error:
            reasons.add(error.reason)
    assert reasons
