"""How much faster is long-form decoding here than ESPnet's `Speech2Text.decode_long` with beam 1?

    python tools/bench/decoding.py [--shape mini] [--pairs 5] [--threads 2] [--recordings 16] [--windows 2]

Makes an ESPnet model folder with random weights by ESPnet's own task code, and recordings of noise. Both sides load
that folder. To get realistic lengths from random weights, both sides are forced to write 5 tokens per second in two
segments per window: the kind of each token is fixed, and the network chooses the token. The ways are timed in turn, so
that other load on the machine affects all of them. Printed are medians of the ratios, and whether all ways gave the
same text and times. On a busy machine, `--processor-time --threads 1` measures the processor time of this process.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import platform
import random
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from k2d.data.rows import Hypothesis
from k2d.decode.greedy import greedy
from k2d.decode.long_recordings import decode_recordings
from k2d.decode.options import Options
from k2d.decode.search import Search
from k2d.decode.sources import Source
from k2d.models.interface import Recogniser, Request
from k2d.models.registry import load_recogniser
from tools.bench.in_turns import clock_of, timed_in_turns

RATE_HZ = 16_000
TOKENS_PER_S = 5
N_PROMPT = 3  # <sos> <zho> <asr>


@dataclass(frozen=True)
class Shape:
    """A model's size, window and time grid."""

    window_s: float
    time_step_s: float
    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    front: str
    hop: int
    n_mels: int
    vocabulary: int

    @property
    def n_tokens(self) -> int:
        """The number of tokens in a window, including times."""
        return round(self.window_s * TOKENS_PER_S)

    def at(self, share: float) -> float:
        """The time on the grid at this share of the window."""
        return round(share * self.window_s / self.time_step_s) * self.time_step_s


SHAPES = {
    "mini": Shape(10.0, 0.1, 128, 4, 3, 12, "conv1d3", 320, 40, 1_200),
    "owsm_base": Shape(30.0, 0.02, 384, 6, 6, 6, "conv2d", 160, 80, 50_000),
}


def main() -> None:
    options = parse_options()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(options.threads)
    clock = "processor time" if options.processor_time else "clock"
    machine = (
        f"{os.cpu_count()} cores, {options.threads} threads, {platform.machine()}, torch {torch.__version__}, fp32"
    )
    print(f"{machine}, {clock}")
    for name in options.shape or SHAPES:
        with tempfile.TemporaryDirectory(prefix="k2d-bench-") as folder:
            compare(name, SHAPES[name], Path(folder), options)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", choices=SHAPES, help="default: all")
    parser.add_argument("--pairs", type=int, default=5, help="how often each way is timed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--processor-time", action="store_true", help="measure processor time, not wall-clock time")
    parser.add_argument("--recordings", type=int, default=16)
    parser.add_argument("--windows", type=int, default=2, help="windows per recording")
    return parser.parse_args()


def compare(name: str, shape: Shape, folder: Path, options: argparse.Namespace) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        make_model(folder, shape)
        theirs = load_espnet(folder, shape)
        ours = load_recogniser(folder, languages=("zho",))
    force_ours(ours, force_espnet(theirs, shape))
    sources = make_recordings(folder, shape, options)
    print(f"\n{name}: {sum(ours.n_parameters().values()) / 1e6:.1f} M parameters, {len(sources)} recordings")
    longform(theirs, ours, sources, shape, options)
    parts(theirs, ours, sources, shape, options)


def longform(theirs: Any, ours: Recogniser, sources: list[Source], shape: Shape, options: argparse.Namespace) -> None:
    """Whole recordings, all ways in turn."""
    speech = [soundfile.read(source.audio, dtype="float32")[0] for source in sources]
    end = f"<{shape.window_s - 1:.2f}>"
    ways: dict[str, Callable[[], Any]] = {
        "ESPnet": lambda: [theirs.decode_long(audio, end_time_threshold=end) for audio in speech],
        "batch 16": lambda: list(decode_recordings(ours, sources, Options(batch_size=16))),
        "batch 1": lambda: list(decode_recordings(ours, sources, Options(batch_size=1))),
    }
    times, found = timed_in_turns(ways, options.pairs, n_warm_turns=1, clock=clock_of(options))
    expected = {
        source.id: [tuple(part) for part in heard] for source, heard in zip(sources, found["ESPnet"], strict=True)
    }
    n_windows = sum(len(one.windows) for one in found["batch 16"])
    print(f"  {n_windows} windows, {sum(w.n_tokens for h in found['batch 16'] for w in h.windows)} tokens")
    print(f"  ESPnet decode_long {statistics.median(times['ESPnet']) / n_windows * 1000:.0f} ms a window")
    for way in ("batch 16", "batch 1"):
        same = sum(spans(one) == expected[one.recording_id] for one in found[way])
        print(f"  {way}: {report(times, way, 'ESPnet', n_windows)}, {same} of {len(sources)} recordings alike")


def parts(theirs: Any, ours: Recogniser, sources: list[Source], shape: Shape, options: argparse.Namespace) -> None:
    """The encoder and the decoder alone, on one window of each recording."""
    n_samples = round(shape.window_s * RATE_HZ)
    speech_BN = torch.zeros(len(sources), n_samples)
    for row_N, source in zip(speech_BN, sources, strict=True):
        samples = soundfile.read(source.audio, n_samples, dtype="float32")[0]
        row_N[: len(samples)] = torch.from_numpy(samples)
    lengths = torch.tensor([n_samples])
    request = Request(("zho",))
    search = Search(ours, request, [224] * len(speech_BN))

    def decode_all() -> object:
        started = ours.start(memory, request)
        return greedy(started.decoding, started.logits_RV, search)

    with torch.inference_mode():
        memory = ours.encode(speech_BN)
        for title, ways in {
            "encoder": {
                "ESPnet": lambda: [theirs.s2t_model.encode(one[None], lengths) for one in speech_BN],
                "batch 16": lambda: ours.encode(speech_BN),
                "batch 1": lambda: [ours.encode(one[None]) for one in speech_BN],
            },
            "decoder": {
                "ESPnet": lambda: [theirs.beam_search(x=states_TD) for states_TD in memory.states_BTD],
                "batch 16": decode_all,
            },
        }.items():
            times, _ = timed_in_turns(ways, options.pairs, n_warm_turns=1, clock=clock_of(options))
            for way in list(times)[1:]:
                print(f"  {title} alone, {way}: {report(times, way, 'ESPnet', len(speech_BN))}")


def report(times: dict[str, list[float]], way: str, base: str, n_windows: int) -> str:
    ratios = sorted(slow / fast for slow, fast in zip(times[base], times[way], strict=True))
    each_ms = statistics.median(times[way]) / n_windows * 1000
    return f"{each_ms:.1f} ms a window, {statistics.median(ratios):.1f}x ({ratios[0]:.1f} to {ratios[-1]:.1f})"


def spans(hypothesis: Hypothesis) -> list[tuple[float, float, str]]:
    return [(round(s.start_s, 2), round(s.end_s, 2), s.text) for s in hypothesis.segments]


def make_recordings(folder: Path, shape: Shape, options: argparse.Namespace) -> list[Source]:
    """Noise of changing loudness, 0.1 s longer than its windows. Each window moves on by 89 % of its length."""
    sources = []
    n_tenths = round(shape.at(0.89) * options.windows * 10) + 1
    for n in range(options.recordings):
        rng = np.random.default_rng(n)
        loudness = np.repeat(rng.uniform(0, 0.3, n_tenths), RATE_HZ // 10)
        path = folder / f"r{n:02d}.wav"
        soundfile.write(path, rng.standard_normal(len(loudness)) * loudness, RATE_HZ, subtype="PCM_16")
        sources.append(Source(path.stem, str(path)))
    return sources


def make_model(folder: Path, shape: Shape) -> None:
    """A model folder as written by ESPnet's S2T recipe, with random weights."""
    from espnet2.tasks.s2t import S2TTask

    config = S2TTask.get_default_config() | model_config(shape) | vocabulary(folder, shape)
    torch.manual_seed(0)
    model = S2TTask.build_model(argparse.Namespace(**config))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), folder / "valid.acc.ave.pth")


def model_config(shape: Shape) -> dict[str, Any]:
    attention = {"attention_heads": shape.heads, "linear_units": 4 * shape.width}
    encoder = {
        "output_size": shape.width,
        "num_blocks": shape.encoder_layers,
        "input_layer": shape.front,
        "cgmlp_linear_units": 4 * shape.width,
        "cgmlp_conv_kernel": 31,
        "use_ffn": True,
        "macaron_ffn": True,
        "merge_conv_kernel": 31,
    }
    return {
        "frontend_conf": {"n_fft": 512, "hop_length": shape.hop, "n_mels": shape.n_mels, "fs": RATE_HZ},
        "encoder": "e_branchformer",
        "encoder_conf": encoder | attention,
        "decoder": "transformer",
        "decoder_conf": {"num_blocks": shape.decoder_layers} | attention,
        "normalize": None,
        "specaug": None,
        "model_conf": {"ctc_weight": 0.3},
    }


def vocabulary(folder: Path, shape: Shape) -> dict[str, Any]:
    """Made-up words that fill the vocabulary, and the settings of the preprocessor."""
    import sentencepiece

    n_times = round(shape.window_s / shape.time_step_s) + 1
    times = [f"<{n * shape.time_step_s:.2f}>" for n in range(n_times)]
    special = ["<blank>", "<unk>", "<na>", "<nospeech>", "<zho>", "<eng>", "<asr>", "<notimestamps>", *times]
    n_words = shape.vocabulary - len(special) - 3
    chance = random.Random(0)
    words = {f"{chance.getrandbits(40):x}" for _ in range(n_words)}
    (folder / "words.txt").write_text("\n".join(sorted(words)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "words.txt"),
        model_prefix=str(folder / "bpe"),
        model_type="word",
        vocab_size=len(words) + 3,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "bpe.model"))
    pieces = [processor.id_to_piece(n) for n in range(3, processor.get_piece_size())]
    return {
        "token_list": [*special, *pieces, "<sos>", "<eos>", "<sop>"],
        "token_type": "bpe",
        "bpemodel": str(folder / "bpe.model"),
        "preprocessor_conf": {
            "fs": RATE_HZ,
            "speech_length": shape.window_s,
            "speech_resolution": shape.time_step_s,
            "notime_symbol": "<notimestamps>",
            "first_time_symbol": times[0],
            "last_time_symbol": times[-1],
        },
    }


def load_espnet(folder: Path, shape: Shape) -> Any:
    from espnet2.bin.s2t_inference import Speech2Text

    return Speech2Text(
        folder / "config.yaml",
        folder / "valid.acc.ave.pth",
        beam_size=1,
        lang_sym="<zho>",
        task_sym="<asr>",
        predict_time=True,
    )


def force_espnet(theirs: Any, shape: Shape) -> Tensor:
    """Make ESPnet's filter add scores that fix the kind of token at each position. Returns them, a row per position."""
    token_list = theirs.s2t_model.token_list
    first_text = token_list.index(theirs.preprocessor_conf["last_time_symbol"]) + 1
    added_LV = torch.full((shape.n_tokens + 1, len(token_list)), -torch.inf)
    added_LV[:, first_text:-3] = 0.0
    half = shape.n_tokens // 2
    times_s = {0: 0.0, half - 1: shape.at(0.44), half: shape.at(0.44), shape.n_tokens - 1: shape.at(0.89)}
    only = {place: token_list.index(f"<{time_s:.2f}>") for place, time_s in times_s.items()}
    for place, token in {**only, shape.n_tokens: theirs.s2t_model.eos}.items():
        added_LV[place] = -torch.inf
        added_LV[place, token] = 0.0
    rules = theirs.beam_search.full_scorers["scorefilter"]
    score = rules.score

    def forced(y: Tensor, state: object, x: Tensor) -> tuple[Tensor, object]:
        return score(y, state, x)[0] + added_LV[len(y) - N_PROMPT], None

    rules.score = forced
    theirs.beam_search.set_hyp_primer([token_list.index(symbol) for symbol in ("<sos>", "<zho>", "<asr>")])
    return added_LV


def force_ours(ours: Any, added_LV: Tensor) -> None:
    """The same for our recogniser."""
    constrain = ours.constrain

    def forced(logits_RV: Tensor, generated_RL: Tensor, request: Request) -> Tensor:
        log_probs_RV: Tensor = constrain(logits_RV, generated_RL, request) + added_LV[generated_RL.shape[1]]
        return log_probs_RV

    ours.constrain = forced


if __name__ == "__main__":
    main()
