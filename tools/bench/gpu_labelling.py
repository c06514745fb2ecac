"""Measures labelling as in stage 5: long recordings, window by window, with a batch across recordings."""

from __future__ import annotations

import statistics
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from k2d.decode.greedy import greedy
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.search import Search
from k2d.decode.sources import Source
from k2d.models.interface import Request
from k2d.models.registry import DTYPES
from k2d.models.whisper.dims import RATE_HZ
from k2d.models.whisper.recogniser import WhisperRecogniser
from k2d.plan.memory import Decoding, decoding_lines
from tools.bench.gpu_arithmetic import decoding_bytes, share
from tools.bench.gpu_cases import Measuring
from tools.bench.gpu_network import (
    LANGUAGES,
    device_of,
    first_kernels,
    load_or_make,
    memory,
    profiler,
    reset_peak,
    shape_of,
    wait_for,
)
from tools.bench.gpu_peaks import Peak
from tools.bench.whisper_forced import LABELLING, N_TOKENS, TIMES_S, force_ours

N_WINDOWS = 2
"""Windows of each recording."""
_PROFILED_TOKENS = 16


def measure_labelling(measuring: Measuring, peak: Peak) -> dict[str, Any]:
    """Measure whole recordings, then encoder and decoder alone, each for half of the time."""
    device = device_of(measuring)
    recogniser = load_or_make(measuring).to(device, getattr(torch, DTYPES[measuring.precision]))
    force_ours(recogniser)
    options = replace(LABELLING, batch_size=measuring.batch_size)
    found = _long_recordings(recogniser, options, measuring, device)
    work = Decoding(shape_of(measuring), measuring.batch_size, options.beam, options.max_tokens, measuring.precision)
    found |= memory(device, decoding_lines(work, on_gpu=device.type == "cuda"))
    found |= _alone(recogniser, measuring, peak, device)
    if measuring.has_profile:
        with profiler(device) as profile:  # of a few tokens: a profile of all takes minutes to read
            _one_batch(recogniser, measuring.batch_size, _PROFILED_TOKENS, device)
        found["kernels"] = first_kernels(profile, device)
    return found


def _long_recordings(
    recogniser: WhisperRecogniser, options: Options, measuring: Measuring, device: torch.device
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as name:
        once = [_noise(Path(name) / "one.wav", 1)] * options.batch_size
        sources = [_noise(Path(name) / "more.wav", N_WINDOWS)] * options.batch_size
        _decode(recogniser, once, options, device)  # warms up libraries and the allocator
        reset_peak(device)
        rounds_s: list[float] = []
        started = time.perf_counter()
        while not rounds_s or time.perf_counter() - started < measuring.seconds / 2:
            seconds, audio_s = _decode(recogniser, sources, options, device)
            rounds_s.append(seconds)
    return {
        "rounds_s": rounds_s,
        "audio_s_a_round": audio_s,
        "hours_per_hour": audio_s / statistics.median(rounds_s),
        "tokens_a_window": N_TOKENS,
    }


def _noise(path: Path, n_windows: int) -> str:
    """Write noise that takes this number of windows, each of which moves on by its last timestamp."""
    n_samples = round(TIMES_S[N_TOKENS - 1] * RATE_HZ) * n_windows
    samples = np.random.default_rng(0).normal(0, 3000, n_samples).clip(-32_768, 32_767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(samples.tobytes())
    return str(path)


def _decode(
    recogniser: WhisperRecogniser, audio: Sequence[str], options: Options, device: torch.device
) -> tuple[float, float]:
    """The time for all recordings, and the length of their audio. Checks that each window has its number of tokens."""
    wait_for(device)
    started = time.perf_counter()
    sources = [Source(f"{n:04d}", path) for n, path in enumerate(audio)]
    found: list[Any] = list(decode_recordings(recogniser, sources, options))
    wait_for(device)
    seconds = time.perf_counter() - started
    lengths = {window.n_tokens for each in found for window in each.windows}
    assert lengths == {N_TOKENS + 1}, f"windows of {sorted(lengths)} tokens, expected {N_TOKENS} and the end"
    return seconds, sum(each.duration_s for each in found)


def _alone(recogniser: WhisperRecogniser, measuring: Measuring, peak: Peak, device: torch.device) -> dict[str, Any]:
    """The times of encoder, prompt and decoder for a batch, and the shares of the peak that they reach."""
    shape, n = shape_of(measuring), measuring.batch_size
    turns: list[tuple[float, float, float]] = []
    started = time.perf_counter()
    while len(turns) < 2 or time.perf_counter() - started < measuring.seconds / 2:
        turns.append(_one_batch(recogniser, n, recogniser.max_tokens // 2, device))
    encoder_s, prompt_s, decoder_s = (statistics.median(part) for part in zip(*turns[1:], strict=True))
    n_prompt = len(recogniser.codec.prompt(Request(LANGUAGES)))
    n_bytes = decoding_bytes(shape, n, n_prompt, N_TOKENS, measuring.precision)
    n_flops = n * shape.encoder_flops()
    return {
        "encoder_s": encoder_s,
        "prompt_s": prompt_s,
        "decoder_s": decoder_s,
        "decoder_steps": N_TOKENS,
        "decoder_bytes": n_bytes,
        "share_of_bandwidth": share(n_bytes, decoder_s, peak.bytes_per_s),
        "encoder_flops": n_flops,
        "encoder_share_of_flops": share(n_flops, encoder_s, peak.flops_per_s),
    }


@torch.inference_mode()
def _one_batch(
    recogniser: WhisperRecogniser, n_windows: int, n_tokens: int, device: torch.device
) -> tuple[float, float, float]:
    """The times in seconds of encoder, prompt (with the keys and values of the frames) and decoder."""
    speech_BN = 0.1 * torch.randn(n_windows, recogniser.window.n_samples, device=device)
    request = Request(LANGUAGES)
    times = [_now(device)]
    encoded = recogniser.encode(speech_BN)
    times.append(_now(device))
    begun = recogniser.start(encoded, request)
    times.append(_now(device))
    greedy(begun.decoding, begun.logits_RV, Search(recogniser, request, [n_tokens] * n_windows))
    times.append(_now(device))
    return times[1] - times[0], times[2] - times[1], times[3] - times[2]


def _now(device: torch.device) -> float:
    wait_for(device)
    return time.perf_counter()
