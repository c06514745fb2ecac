"""Comparison with ESPnet's own Speech2Text on one folder with random weights, made and loaded as in the benchmark."""

import importlib.util
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from k2d.core.layout import PROJECT_ROOT

pytestmark = pytest.mark.slow

N_WINDOWS, MAX_TOKENS = 6, 30


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_decoding", PROJECT_ROOT / "tools" / "bench" / "decoding.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_decoding"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shape(bench):
    return replace(bench.SHAPES["mini"], window_s=4.0, width=32, encoder_layers=1, decoder_layers=2, vocabulary=120)


@pytest.fixture(scope="module")
def folder(bench, shape, tmp_path_factory):
    """A model with weights so large that its text depends on the window."""
    import torch

    made = tmp_path_factory.mktemp("model")
    bench.make_model(made, shape)
    path = made / "valid.acc.ave.pth"
    weights = torch.load(path, weights_only=True)
    for name, value in weights.items():
        if value.dim() > 1:
            weights[name] = value * (8.0 if "src_attn" in name else 1.5)
    torch.save(weights, path)
    return made


@pytest.fixture(scope="module")
def audio(shape):
    """Changing tones, in windows of different lengths."""
    rng = np.random.default_rng(0)
    lengths = [round(shape.window_s * share * 16_000) for share in np.linspace(0.3, 1.0, N_WINDOWS)]
    return [tones(rng, n_samples) for n_samples in lengths]


def tones(rng, n_samples):
    pitch_hz = np.repeat(rng.uniform(80, 4_000, n_samples // 3_200 + 1), 3_200)[:n_samples]
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(pitch_hz) / 16_000) + 0.01 * rng.standard_normal(n_samples)
    return wave.astype(np.float32)


@cache
def loaded(folder, precision):
    from k2d.models.registry import load_recogniser

    return load_recogniser(folder, precision=precision, languages=("zho",))


def decoded_here(folder, audio, precision="fp64", batch_size=N_WINDOWS, **options):
    """The text of each window, with the sum of its log-probabilities."""
    from k2d.decode.options import Options
    from k2d.decode.window_batch import WindowDecoder, WindowInput

    hearing = WindowDecoder(loaded(folder, precision), Options(max_tokens=MAX_TOKENS, languages=("zho",), **options))
    batches = [audio[n : n + batch_size] for n in range(0, len(audio), batch_size)]
    return [decoded for batch in batches for decoded in hearing([WindowInput(samples) for samples in batch])]


def decoded_by_espnet(folder, audio, timestamps, dtype="float64", **options):
    from espnet2.bin.s2t_inference import Speech2Text

    theirs = Speech2Text(
        folder / "config.yaml",
        folder / "valid.acc.ave.pth",
        lang_sym="<zho>",
        task_sym="<asr>",
        predict_time=timestamps,
        maxlenratio=-MAX_TOKENS,
        dtype=dtype,
        **options,
    )
    return [theirs(samples)[0] for samples in audio]


@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("mode", ["timestamps", "plain", "joint"])
def test_windows_equal_those_of_espnets_beam_search(mode, beam, folder, audio):
    ctc_weight = 0.3 if mode == "joint" else 0.0
    options = {"mode": "joint", "ctc_weight": 0.3} if mode == "joint" else {}
    ours = decoded_here(folder, audio, beam=beam, timestamps=mode == "timestamps", **options)
    theirs = decoded_by_espnet(folder, audio, mode == "timestamps", beam_size=beam, ctc_weight=ctc_weight)
    n_prompt = 2 if mode == "timestamps" else 3
    for decoded, (_, _, ids, _, hypothesis) in zip(ours, theirs, strict=True):
        assert [token for token in decoded.ids if token != 0] == ids[n_prompt:]  # ESPnet leaves blanks out
        assert decoded.logprob == pytest.approx(float(hypothesis.score), abs=1e-6)
    assert len({decoded.ids for decoded in ours}) > 1, "all windows say the same: nothing is tested"


def test_greedy_ids_equal_those_of_espnet_in_fp32(folder, audio):
    ours = decoded_here(folder, audio, precision="fp32")
    theirs = decoded_by_espnet(folder, audio, timestamps=True, dtype="float32", beam_size=1)
    assert [[t for t in decoded.ids if t] for decoded in ours] == [ids[2:] for _, _, ids, _, _ in theirs]


@pytest.mark.parametrize("mode", ["attention", "joint"])
@pytest.mark.parametrize("beam", [1, 3])
def test_windows_do_not_depend_on_their_batch(mode, beam, folder, audio):
    alone = decoded_here(folder, audio, beam=beam, mode=mode, batch_size=1)
    for batch_size in (2, 6):
        together = decoded_here(folder, audio, beam=beam, mode=mode, batch_size=batch_size)
        assert [(d.ids, d.ended, d.mean_logprob) for d in together] == [(d.ids, d.ended, d.mean_logprob) for d in alone]
    backwards = decoded_here(folder, audio[::-1], beam=beam, mode=mode)[::-1]
    assert [decoded.ids for decoded in backwards] == [decoded.ids for decoded in alone]


def test_with_timestamps_ctc_has_its_configured_weight(folder, audio):
    """With almost no weight, the text is the decoder's. With a third, it differs."""
    plain = decoded_here(folder, audio)
    assert [d.ids for d in decoded_here(folder, audio, mode="joint", ctc_weight=1e-9)] == [d.ids for d in plain]
    weighed = decoded_here(folder, audio, mode="joint", ctc_weight=0.33)
    assert [d.ids for d in weighed] != [d.ids for d in plain]


def test_long_recordings_equal_those_of_decode_long(bench, shape, folder, tmp_path):
    """Both write two segments per window, and the second ends after ESPnet's threshold, so it is decoded again.

    The recordings are three of six windows in fp32, together and one by one.
    """
    import argparse

    import soundfile

    from k2d.decode.agreement import agreement
    from k2d.decode.long_recordings import decode_recordings
    from k2d.decode.options import Options
    from k2d.models.registry import load_recogniser

    theirs = bench.load_espnet(folder, shape)
    ours = load_recogniser(folder, languages=("zho",))
    bench.force_ours(ours, bench.force_espnet(theirs, shape))
    sources = bench.make_recordings(tmp_path, shape, argparse.Namespace(recordings=3, windows=3))
    hypotheses = list(decode_recordings(ours, sources, Options(batch_size=2)))
    alone = agreement(decode_recordings(ours, sources, Options(batch_size=1)), hypotheses)
    assert (alone.n_windows, alone.share) == (18, 1.0)
    found = {one.recording_id: bench.spans(one) for one in hypotheses}
    for source in sources:
        speech, _ = soundfile.read(source.audio, dtype="float32")
        expected = theirs.decode_long(speech, end_time_threshold=f"<{shape.window_s - 1:.2f}>")
        assert found[source.id] == expected
        assert len(expected) == 6
