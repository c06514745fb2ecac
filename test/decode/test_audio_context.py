"""Features of windows as in whisper.transcribe, which computes them for the whole recording."""

import numpy as np
import pytest
import soundfile
import torch
from whisper_made import V3, write_openai

from k2d.decode.audio_context import AudioContext
from k2d.decode.sources import OpenAudio, Source
from k2d.models.whisper.recogniser import load_whisper

whisper = pytest.importorskip("whisper")


@pytest.fixture(scope="module", params=[None, V3], ids=["80 mels", "128 mels"])
def model(request, tmp_path_factory):
    dims = {"dims": request.param} if request.param else {}
    return load_whisper(write_openai(tmp_path_factory.mktemp("w") / "tiny.pt", **dims), ("zh",))


@pytest.mark.parametrize("n_samples", [16_000 * 65, 480_000, 480_100, 480_199, 480_201, 41_234, 401])
@pytest.mark.slow
def test_each_window_is_a_cut_of_the_recordings_features(model, n_samples, tmp_path):
    """The recording is loud in one place only. Windows at the edges, whose margins are outside, are compared too."""
    rng = np.random.default_rng(n_samples)
    speech = rng.standard_normal(n_samples) * 0.01
    speech[-300:] *= 30
    soundfile.write(tmp_path / "a.wav", speech, 16_000, subtype="FLOAT")
    audio = OpenAudio.of(Source("a", str(tmp_path / "a.wav")))
    around = AudioContext.of(audio, model, model.window)
    whole = whisper.log_mel_spectrogram(speech.astype(np.float32), model.dims.n_mels, padding=480_000)
    n_frames = n_samples // 160
    for first in (0, 2, 1334, n_frames - 3):
        if not 0 <= first < n_frames:
            continue
        length_s = min(30.0, (n_samples - first * 160) / 16_000)
        found = model.features_in_context(around.window_at(first / 100, length_s))
        expected = whisper.pad_or_trim(whole[:, first : min(first + 3000, n_frames)], 3000)
        assert torch.allclose(found, expected, atol=1e-4), first
