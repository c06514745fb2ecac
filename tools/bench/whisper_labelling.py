"""Decoding of long recordings with a Whisper here, compared with `whisper.transcribe`, transformers and faster-whisper.

One checkpoint of `base` size with random weights, temperature 0, no previous text. Random weights never end a window.
So the kinds of tokens are forced in the same way on all sides that allow it: each window has 150 tokens, with times,
and moves on by 89 % of its length. transformers and faster-whisper write as many tokens as they are allowed.

    PYTHONPATH=. .venv/bin/python tools/bench/whisper_labelling.py --threads 2 [--others]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import whisper
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from k2d.decode.greedy import greedy
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.search import Search
from k2d.decode.sources import Source
from k2d.models.interface import Request
from k2d.models.registry import load_recogniser
from k2d.models.whisper.dims import PUBLISHED, RATE_HZ, WhisperDims, shapes
from tools.bench.in_turns import clock_of, timed_in_turns
from tools.bench.whisper_forced import LABELLING, added, force_ours, report

TEMPERATURES = {
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "no_speech_threshold": None,
    "logprob_threshold": None,
    "compression_ratio_threshold": None,
    "language": "zh",
    "fp16": False,
}


def main() -> None:
    options = parse_options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    machine = (
        f"{os.cpu_count()} cores, {options.threads} threads, {platform.machine()}, torch {torch.__version__}, fp32"
    )
    print(f"{machine}, Whisper {options.size}, {options.recordings} recordings of {options.windows} windows")
    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as name:
        folder = Path(name)
        checkpoint = make_checkpoint(folder / "random.pt", PUBLISHED[options.size])
        sources = make_recordings(folder, options)
        theirs = whisper.load_model(str(checkpoint), device="cpu")
        ours = load_recogniser(checkpoint, family="whisper", languages=("zh",))
        force_ours(ours)
        with forced_whisper():
            decoder_alone(theirs, ours, sources, options)
            over_all(theirs, ours, sources, options)
        if options.others:
            from tools.bench.whisper_others import compare_others  # imported here, as its libraries are optional

            compare_others(ours, checkpoint, sources, options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="base", choices=list(PUBLISHED))
    parser.add_argument("--pairs", type=int, default=3, help="how often each way is timed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true", help="measure processor time, for a busy machine")
    parser.add_argument("--recordings", type=int, default=16)
    parser.add_argument("--windows", type=int, default=1, help="windows per recording")
    parser.add_argument("--others", action="store_true", help="transformers and faster-whisper too")
    return parser.parse_args()


def over_all(theirs: Any, ours: Any, sources: list[Source], options: argparse.Namespace) -> None:
    """Whole recordings, in turn."""
    speech = [soundfile.read(source.audio, dtype="float32")[0] for source in sources]
    ways: dict[str, Callable[[], Any]] = {
        "whisper.transcribe": lambda: [theirs.transcribe(audio, **TEMPERATURES)["segments"] for audio in speech],
        "batch 16": lambda: list(decode_recordings(ours, sources, LABELLING)),
    }
    times, found = timed_in_turns(ways, options.pairs, clock=clock_of(options))
    heard = {one.recording_id: one for one in found["batch 16"]}
    n_windows = sum(len(one.windows) for one in heard.values())
    n_tokens = sum(window.n_tokens for one in heard.values() for window in one.windows)
    same = sum(
        [(round(s["start"], 2), round(s["end"], 2), s["text"].strip()) for s in segments if s["text"].strip()]
        == [(round(s.start_s, 2), round(s.end_s, 2), s.text) for s in heard[source.id].segments]
        for source, segments in zip(sources, found["whisper.transcribe"], strict=True)
    )
    each_ms = statistics.median(times["whisper.transcribe"]) / n_windows * 1000
    print(
        f"  {n_windows} windows, {n_tokens / n_windows:.0f} tokens each; whisper.transcribe {each_ms:.0f} ms a window"
    )
    print(f"  over all, {report(times, 'batch 16', 'whisper.transcribe', n_windows)}, {same} of {len(sources)} alike")


def decoder_alone(theirs: Any, ours: Any, sources: list[Source], options: argparse.Namespace) -> None:
    """One window of each recording, with the encoder's output given."""
    n_samples = ours.window.n_samples
    speech = [torch.from_numpy(soundfile.read(source.audio, n_samples, dtype="float32")[0]) for source in sources]
    speech_BN = torch.stack(speech)
    request = Request(("zh",))
    search = Search(ours, request, [224] * len(speech_BN))
    wanted = whisper.DecodingOptions(language="zh", temperature=0.0, fp16=False)

    def decode_all() -> object:
        started = ours.start(memory, request)
        return [one.ids for one in greedy(started.decoding, started.logits_RV, search)]

    with torch.inference_mode():
        now = clock_of(options)
        start = now()
        memory = ours.encode(speech_BN)
        print(f"  encoder {(now() - start) / len(speech_BN) * 1000:.0f} ms a window")
        ways: dict[str, Callable[[], Any]] = {
            "whisper.decode": lambda: [tuple(theirs.decode(one_TD, wanted).tokens) for one_TD in memory.states_BTD],
            "batch 16": decode_all,
        }
        times, found = timed_in_turns(ways, options.pairs, clock=clock_of(options))
    same = sum(a == b for a, b in zip(found["whisper.decode"], found["batch 16"], strict=True))
    each_ms = statistics.median(times["whisper.decode"]) / len(sources) * 1000
    print(f"  decoder alone: whisper.decode {each_ms:.0f} ms a window")
    print(f"  decoder alone, {report(times, 'batch 16', 'whisper.decode', len(sources))}, {same} alike")


def make_recordings(folder: Path, options: argparse.Namespace) -> list[Source]:
    """Noise of changing loudness, with this many windows, which move on by 26.7 s."""
    sources = []
    n_tenths = 267 * options.windows
    for n in range(options.recordings):
        rng = np.random.default_rng(n)
        loudness = np.repeat(rng.uniform(0, 0.3, n_tenths), RATE_HZ // 10)
        path = folder / f"r{n:02d}.wav"
        soundfile.write(path, rng.standard_normal(len(loudness)) * loudness, RATE_HZ, subtype="PCM_16")
        sources.append(Source(path.stem, str(path)))
    return sources


def make_checkpoint(path: Path, dims: WhisperDims) -> Path:
    """A checkpoint in OpenAI's format with random weights."""
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes(dims).items():
        state[name] = torch.randn(shape, generator=generator) * (0.02 if len(shape) == 1 else shape[-1] ** -0.5)
        if name.split(".")[-2].endswith(("ln", "ln_post")) and name.endswith("weight"):
            state[name] += 1
    torch.save({"dims": dims.as_dict(), "model_state_dict": state}, path)
    return path


# --- the same length for all ---


@contextlib.contextmanager
def forced_whisper() -> Iterator[None]:
    """Replace the scores after their rules have been applied, so that the rules are still timed."""
    from whisper.decoding import ApplyTimestampRules

    rows: dict[int, Tensor] = {}
    apply = ApplyTimestampRules.apply

    def forced(self: Any, logits: Tensor, tokens: Tensor) -> None:
        before = logits.clone()
        apply(self, logits, tokens)
        torch.add(before, added(tokens.shape[1] - self.sample_begin, logits.shape[1], rows), out=logits)

    ApplyTimestampRules.apply = forced
    try:
        yield
    finally:
        ApplyTimestampRules.apply = apply


if __name__ == "__main__":
    main()
