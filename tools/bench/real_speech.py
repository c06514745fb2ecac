"""Compares K2D with other libraries on recorded speech, with Whisper base's published weights.

The libraries are openai-whisper, transformers, and faster-whisper (one recording after another, and its batched
pipeline), in fp32 and int8. They decode the same recordings in turn, greedily, without previous text and without
fallback. Utterances of data directories are joined to recordings of two minutes, with half a second of silence between
them.

    PYTHONPATH=. .venv/bin/python tools/bench/real_speech.py --threads 2 --minutes 10 --language zh DIR [DIR ...]

For each way, it prints the speed relative to real time and to openai-whisper, the error rate against the transcripts,
and the share of text that differs from openai-whisper's.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from k2d.data.audio import read, resolve
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.sources import Failed, Source
from k2d.export import ctranslate2, huggingface, openai
from k2d.export.request import ExportRequest
from k2d.models.registry import family_of
from k2d.models.whisper.ctranslate2_engine import load, write_facts
from k2d.models.whisper.recogniser import load_whisper
from k2d.score.pairing import UtterancePair
from k2d.score.rates import total
from k2d.score.scoring import Conventions, score_pair
from tools.bench.in_turns import timed_in_turns

RATE_HZ = 16_000
RECORDING_S, GAP_S = 120.0, 0.5
BATCH_SIZE = 16
FASTER_TYPES = {"fp32": "float32", "int8": "int8"}
GREEDY: Mapping[str, Any] = {"temperature": 0.0, "condition_on_previous_text": False}
UNGUARDED: Mapping[str, Any] = {"compression_ratio_threshold": None, "no_speech_threshold": None}

Texts = dict[str, str]
Way = Callable[[], Texts]
"""Decodes all recordings and returns their texts by recording."""


@dataclass(frozen=True, slots=True)
class Talk:
    """A recording of joined utterances, with its reference."""

    id: str
    audio: Path
    speech_N: np.ndarray[Any, np.dtype[np.float32]]
    text: str


def main() -> None:
    options = parse_options()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="k2d-bench-") as name:
        folder = Path(name)
        talks = list(joined(utterances(options.dirs), folder, options.minutes * 60))
        seconds = sum(len(talk.speech_N) for talk in talks) / RATE_HZ
        machine = f"{os.cpu_count()} cores, {options.threads} threads, {platform.machine()}, torch {torch.__version__}"
        print(f"{machine}; {len(talks)} recordings, {seconds / 60:.1f} min; {options.turns} turns", flush=True)
        ways = all_ways(talks, folder, options)
        print_table(*timed_in_turns(ways, options.turns), talks, seconds)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dirs", nargs="+", type=Path, metavar="DIR", help="data directories: wav.scp and text")
    parser.add_argument("--language", default="zh")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--without", action="append", default=[], metavar="WAY", help="a way to leave out (repeatable)")
    return parser.parse_args()


# --- recordings ---


def utterances(dirs: Sequence[Path]) -> Iterator[tuple[np.ndarray[Any, np.dtype[np.float32]], str]]:
    """Yield samples and transcript of each utterance that has both."""
    for folder in dirs:
        texts = columns(folder / "text")
        for key, audio in columns(folder / "wav.scp").items():
            if key in texts:
                path = audio if Path(audio).is_absolute() else str(folder / audio)
                yield read(resolve(path)), texts[key]


def columns(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return dict(line.partition(" ")[::2] for line in lines)


def joined(
    found: Iterator[tuple[np.ndarray[Any, np.dtype[np.float32]], str]], folder: Path, limit_s: float
) -> Iterator[Talk]:
    """Yield recordings of about two minutes, until their length is `limit_s`."""
    gap_N = np.zeros(round(GAP_S * RATE_HZ), np.float32)
    parts: list[Any] = []
    texts: list[str] = []
    n_talks, n_left = 0, round(limit_s * RATE_HZ)
    for speech_N, text in found:
        parts += [speech_N, gap_N]
        texts.append(text)
        n_samples = sum(map(len, parts))
        if n_samples >= min(RECORDING_S * RATE_HZ, n_left):
            path = folder / f"talk{n_talks:02d}.flac"
            whole_N = np.concatenate(parts)
            soundfile.write(path, whole_N, RATE_HZ)
            yield Talk(path.stem, path, soundfile.read(path, dtype="float32")[0], " ".join(texts))
            parts, texts, n_talks, n_left = [], [], n_talks + 1, n_left - n_samples
        if n_left <= 0:
            return


# --- ways ---


def all_ways(talks: list[Talk], folder: Path, options: argparse.Namespace) -> dict[str, Way]:
    """The ways by name. Models are loaded before the timing starts."""
    checkpoint = family_of(Path("base")).fetched(Path("base"))
    for name, module in (("openai", openai), ("huggingface", huggingface)):
        (folder / name).mkdir()
        module.write(checkpoint, ExportRequest("base"), folder / name)
    makers: dict[str, Callable[[], Way]] = {
        "openai-whisper": lambda: openai_way(talks, folder / "openai" / "base.pt", options),
        "transformers": lambda: transformers_way(talks, folder / "huggingface", options),
        "k2d torch": lambda: our_way(talks, load_whisper(checkpoint, (options.language,)), options),
    }
    for numbers in FASTER_TYPES:
        converted = folder / numbers
        converted.mkdir()
        ctranslate2.write(checkpoint, ExportRequest("base", compute_type=numbers), converted)  # type: ignore[arg-type]
        write_facts(converted, checkpoint)
        makers |= ctranslate2_makers(talks, converted, numbers, options)
    if unknown := set(options.without) - makers.keys():
        raise SystemExit(f"--without: found {', '.join(sorted(unknown))}, expected some of {', '.join(makers)}")
    return {name: make() for name, make in makers.items() if name not in options.without}


def ctranslate2_makers(
    talks: list[Talk], folder: Path, numbers: str, options: argparse.Namespace
) -> dict[str, Callable[[], Way]]:
    def ours() -> Way:
        return our_way(talks, load(folder, "cpu", numbers, n_threads=options.threads), options)

    return {
        f"faster-whisper {numbers}": lambda: faster_way(talks, folder, numbers, options, is_batched=False),
        f"faster-whisper {numbers}, batched": lambda: faster_way(talks, folder, numbers, options, is_batched=True),
        f"k2d ctranslate2 {numbers}": ours,
    }


def our_way(talks: list[Talk], model: Any, options: argparse.Namespace) -> Way:
    sources = [Source(talk.id, str(talk.audio)) for talk in talks]
    chosen = Options(batch_size=BATCH_SIZE, languages=(options.language,), min_advance_s=0.02, min_window_s=0.01)

    def run() -> Texts:
        found = decode_recordings(model, sources, chosen)
        return {
            each.recording_id: " ".join(s.text for s in each.segments) for each in found if not isinstance(each, Failed)
        }

    return run


def openai_way(talks: list[Talk], path: Path, options: argparse.Namespace) -> Way:
    import whisper

    model = whisper.load_model(str(path), device="cpu")
    settings: dict[str, Any] = {"language": options.language, "logprob_threshold": None, "fp16": False}

    def text(talk: Talk) -> str:
        found = model.transcribe(talk.speech_N, **GREEDY, **UNGUARDED, **settings)["segments"]
        return " ".join(each["text"].strip() for each in found)

    return lambda: {talk.id: text(talk) for talk in talks}


def faster_way(talks: list[Talk], folder: Path, numbers: str, options: argparse.Namespace, *, is_batched: bool) -> Way:
    """faster-whisper. Its batched pipeline cuts recordings with its own voice detector and writes no times."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model: Any = WhisperModel(
        str(folder), device="cpu", compute_type=FASTER_TYPES[numbers], cpu_threads=options.threads
    )
    settings: dict[str, Any] = {"language": options.language, "beam_size": 1, "best_of": 1, "log_prob_threshold": None}
    if is_batched:
        model, settings = BatchedInferencePipeline(model), {**settings, "batch_size": BATCH_SIZE}

    def text(talk: Talk) -> str:
        segments, _ = model.transcribe(talk.speech_N, **GREEDY, **UNGUARDED, **settings)
        return " ".join(each.text.strip() for each in segments)

    return lambda: {talk.id: text(talk) for talk in talks}


def transformers_way(talks: list[Talk], folder: Path, options: argparse.Namespace) -> Way:
    """transformers with its sequential long-form decoding, all recordings in one batch."""
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    model: Any = WhisperForConditionalGeneration.from_pretrained(folder, attn_implementation="sdpa")
    processor: Any = WhisperProcessor.from_pretrained(folder)
    reading = {"truncation": False, "padding": "longest", "return_attention_mask": True, "return_tensors": "pt"}
    settings = {"language": options.language, "task": "transcribe", "return_timestamps": True, "temperature": 0.0}

    def run() -> Texts:
        features: Any = processor([talk.speech_N for talk in talks], sampling_rate=RATE_HZ, **reading)
        with torch.inference_mode():
            ids = model.generate(**features, **settings, condition_on_prev_tokens=False)
        texts = processor.batch_decode(ids, skip_special_tokens=True)
        return {talk.id: text.strip() for talk, text in zip(talks, texts, strict=True)}

    return run


# --- figures ---


def print_table(times: dict[str, list[float]], texts: dict[str, Texts], talks: list[Talk], seconds: float) -> None:
    first = next(iter(times))
    references = {talk.id: talk.text for talk in talks}
    print(f"| way | times real time | against {first} | MER | text unlike {first}'s |\n|---|---|---|---|---|")
    for name, runs_s in times.items():
        ratio = statistics.median(slow / fast for slow, fast in zip(times[first], runs_s, strict=True))
        speed = seconds / statistics.median(runs_s)
        errors, unlike = error_percent(references, texts[name]), error_percent(texts[first], texts[name])
        print(f"| {name} | {speed:.1f} | {ratio:.2f} | {errors:.1f} % | {unlike:.1f} % |")


def error_percent(references: Texts, hypotheses: Texts) -> float:
    pairs = [UtterancePair(key, key, text, hypotheses.get(key)) for key, text in references.items()]
    return total(score_pair(pair, Conventions()).rates["mer"] for pair in pairs).percent or 0.0


if __name__ == "__main__":
    main()
