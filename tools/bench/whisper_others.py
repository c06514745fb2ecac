"""Further sides of whisper_labelling.py: transformers' batched long form, and faster-whisper in fp32 and int8.

transformers is forced in the same way. faster-whisper cannot be forced, so it writes as many tokens as it is allowed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from k2d.decode.long_recordings import decode_recordings
from k2d.decode.sources import Source
from k2d.export import ctranslate2, huggingface
from k2d.export.request import ExportRequest
from tools.bench.in_turns import clock_of, timed_in_turns
from tools.bench.whisper_forced import LABELLING, N_TOKENS, added, report

_N_PROMPT = 3  # start, language, task


def compare_others(ours: Any, checkpoint: Path, sources: list[Source], options: argparse.Namespace) -> None:
    speech = [soundfile.read(source.audio, dtype="float32")[0] for source in sources]
    ways: dict[str, Callable[[], Any]] = {
        "batch 16": lambda: list(decode_recordings(ours, sources, LABELLING)),
        "transformers, batch 16": transformers_way(checkpoint, speech),
        "faster-whisper fp32": faster_way(checkpoint, speech, "fp32", options.threads),
        "faster-whisper int8": faster_way(checkpoint, speech, "int8", options.threads),
    }
    times, _ = timed_in_turns(ways, options.pairs, clock=clock_of(options))
    n_windows = len(sources) * options.windows
    for other in list(ways)[1:]:
        print(f"  against {other}: {report(times, 'batch 16', other, n_windows)}")


def transformers_way(checkpoint: Path, speech: list[Any]) -> Callable[[], Any]:
    """Its sequential long form, with all recordings as one batch."""
    from transformers import LogitsProcessor, LogitsProcessorList, WhisperForConditionalGeneration, WhisperProcessor

    folder = checkpoint.parent / "huggingface"
    folder.mkdir()
    huggingface.write(checkpoint, ExportRequest("bench", ("zh",)), folder)
    model = WhisperForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa")
    processor = WhisperProcessor.from_pretrained(folder)
    rows: dict[int, Tensor] = {}

    class Forced(LogitsProcessor):  # type: ignore[misc]  # mypy does not read transformers
        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            forced: Tensor = scores + added(input_ids.shape[1] - _N_PROMPT, scores.shape[1], rows)
            return forced

    wanted: dict[str, Any] = {"language": "zh", "task": "transcribe", "return_timestamps": True, "temperature": 0.0}
    heard: dict[str, Any] = {
        "truncation": False,
        "padding": "longest",
        "return_attention_mask": True,
        "return_tensors": "pt",
    }

    def run() -> Any:
        features = processor(speech, sampling_rate=16_000, **heard)
        with torch.inference_mode():
            return model.generate(
                **features, **wanted, condition_on_prev_tokens=False, logits_processor=LogitsProcessorList([Forced()])
            )

    return run


def faster_way(checkpoint: Path, speech: list[Any], compute_type: Any, threads: int) -> Callable[[], Any]:
    """One recording after another, with greedy decoding."""
    from faster_whisper import WhisperModel

    folder = checkpoint.parent / f"ctranslate2_{compute_type}"
    folder.mkdir()
    ctranslate2.write(checkpoint, ExportRequest("bench", ("zh",), compute_type), folder)
    kind = {"fp32": "float32", "int8": "int8"}[compute_type]
    model = WhisperModel(str(folder), device="cpu", compute_type=kind, cpu_threads=threads)
    wanted: dict[str, Any] = {
        "language": "zh",
        "beam_size": 1,
        "best_of": 1,
        "temperature": 0.0,
        "condition_on_previous_text": False,
        "no_speech_threshold": None,
        "log_prob_threshold": None,
        "compression_ratio_threshold": None,
        "max_new_tokens": N_TOKENS,
    }
    return lambda: [list(model.transcribe(audio, **wanted)[0]) for audio in speech]
