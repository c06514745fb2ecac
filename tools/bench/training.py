"""The cost of the training engine beside the arithmetic of a step, and the time it waits for data.

    python tools/bench/training.py [--batch-size 24] [--pairs 20]

A plain encoder-decoder of the mini teacher's shape (3 encoder and 12 decoder layers of 128, 10 s windows, 1,200 tokens)
is trained on windows composed as in a real training, with noise and echo, prepared by one process beside it. After each
step, the forward and backward pass of the same batch are timed alone; the ratio is the median over the pairs. Then the
same number of steps without that shows the share of time spent waiting for data.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

PROJECT_ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT_ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from k2d.config.training import Phase, Running, Training  # noqa: E402
from k2d.core.stamp import Recipe  # noqa: E402
from k2d.models.codec import Request, Window  # noqa: E402
from k2d.models.interface import Memory, Part  # noqa: E402
from k2d.train import engine  # noqa: E402
from k2d.train.batches import Batch, Material  # noqa: E402
from k2d.train.engine import Setting  # noqa: E402
from k2d.train.lightning_parts import Callback, Trainer  # noqa: E402
from k2d.train.pool import Pool, PoolIndex  # noqa: E402
from k2d.train.supervised import train_recogniser  # noqa: E402
from k2d.train.trainer import make_trainer  # noqa: E402

N_TOKENS, SIZE, HOP = 1200, 128, 960
WINDOW = Window(10.0, 16_000, 0.1)
WARM_STEPS = 3


class Letters:
    """A codec that maps each letter to an id."""

    eos_id, vocabulary_hash = 1, ""

    def ids(self, timed_text: str) -> list[int]:
        return [2 + hash(letter) % (N_TOKENS - 2) for letter in timed_text if letter.isalpha()]

    def label(self, timed_text: str, request: Request, previous_text: str = "") -> tuple[list[int], int]:
        return [1, *self.ids(timed_text), 1], 1


class PlainRecogniser:
    """A minimal recogniser of torch's own layers."""

    family, codec, window, ctc_blank_id = "plain", Letters(), WINDOW, 0
    freeze_positions = skips_layers = False

    def __init__(self) -> None:
        encoder = nn.TransformerEncoderLayer(SIZE, 4, 4 * SIZE, batch_first=True, norm_first=True)
        decoder = nn.TransformerDecoderLayer(SIZE, 4, 4 * SIZE, batch_first=True, norm_first=True)
        self.network = nn.ModuleDict(
            {
                "front": nn.Linear(HOP, SIZE),
                "encoder": nn.TransformerEncoder(encoder, 3, enable_nested_tensor=False),
                "ctc": nn.Linear(SIZE, N_TOKENS),
                "embed": nn.Embedding(N_TOKENS, SIZE),
                "decoder": nn.TransformerDecoder(decoder, 12),
                "output": nn.Linear(SIZE, N_TOKENS),
            }
        )

    def decoder_layers(self) -> Sequence[nn.Module]:
        return list(self.network["decoder"].get_submodule("layers").children())

    def parts(self) -> Mapping[Part, Sequence[nn.Module]]:
        of = self.network
        return {
            "encoder": (of["front"], of["encoder"]),
            "ctc_head": (of["ctc"],),
            "decoder": (of["embed"], of["decoder"]),
            "output_layer": (of["output"],),
        }

    def classes(self, tokens: Tensor) -> Tensor:
        return tokens

    def encode_unpadded(self, speech_BN: Tensor, n_samples_B: Tensor) -> tuple[Memory, Tensor]:
        frames_BTN = speech_BN[:, : speech_BN.shape[1] // HOP * HOP].reshape(len(speech_BN), -1, HOP)
        return Memory(self.network["encoder"](self.network["front"](frames_BTN))), n_samples_B // HOP

    def logits(self, memory: Memory, tokens_BL: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(tokens_BL.shape[1], device=tokens_BL.device)
        embedded = self.network["embed"](tokens_BL)
        hidden = self.network["decoder"](embedded, memory.states_BTD, tgt_mask=mask, tgt_is_causal=True)
        logits: Tensor = self.network["output"](hidden)
        return logits

    def ctc_log_probs(self, memory: Memory) -> Tensor:
        log_probs: Tensor = self.network["ctc"](memory.states_BTD).log_softmax(-1)
        return log_probs

    def n_parameters(self) -> Mapping[str, int]:
        return {"total": sum(parameter.numel() for parameter in self.network.parameters())}


class Pairs(Callback):
    """Times a whole step, from the end of the one before, then only the arithmetic of the same batch."""

    def __init__(self) -> None:
        self.step_s: list[float] = []
        self.bare_s: list[float] = []
        self._mark = 0.0

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self._mark = self._mark or time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, learner: Any, outputs: Any, parts: list[Batch], _: int) -> None:
        now = time.perf_counter()
        self.step_s.append(now - self._mark)
        weights = learner.objective.weights
        for part in parts:
            terms, counts = learner.objective.sums(part), learner.objective.counts(part)
            loss = sum(weight * terms[name] / counts[name] for name, weight in weights.items())
            torch.autograd.grad(loss, [p for p in learner.network.parameters() if p.requires_grad])
        self._mark = time.perf_counter()
        self.bare_s.append(self._mark - now)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=24, help="windows per step (default: 24)")
    parser.add_argument("--pairs", type=int, default=20, help="steps that are timed (default: 20)")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    n_cores = len(os.sched_getaffinity(0))
    print(f"{platform.platform()}, {n_cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}")
    for train in ("all", "decoder"):
        phase = Phase(train=train, steps=WARM_STEPS + arguments.pairs, batch_size=arguments.batch_size)
        pairs = Pairs()
        _train(phase, [pairs])
        ratios = [a / b for a, b in zip(pairs.step_s[WARM_STEPS:], pairs.bare_s[WARM_STEPS:], strict=True)]
        bare_s = statistics.median(pairs.bare_s[WARM_STEPS:])
        print(f"{train}: step {statistics.median(ratios):.3f} × its forward and backward ({1000 * bare_s:.0f} ms)")
        print(f"{train}: waiting for data {100 * _train(phase, []):.1f} % of the time", flush=True)


def _train(phase: Phase, callbacks: list[Callback]) -> float:
    """Train for a few steps. Returns the share of waiting."""
    recogniser: Any = PlainRecogniser()

    def with_callbacks(running: Running, folder: Path, ngpu: int, ours: list[Callback], first: int) -> Trainer:
        return make_trainer(running, folder, ngpu, [*ours, *callbacks], first)

    with tempfile.TemporaryDirectory() as folder, patch.object(engine, "make_trainer", with_callbacks):
        training, material = Training(phases={"one": phase}), Material(_pool(), recogniser.codec, WINDOW)
        setting, recipe = Setting(Path(folder), seed=1), Recipe("bench", 1, {}, {})
        record = train_recogniser(recogniser, training, material, setting, recipe=recipe)
    return record.phases["one"].waiting_share


def _pool() -> Pool:
    """Half an hour of noise in utterances of one to five seconds, with seven letters per second."""
    rng = np.random.default_rng(0)
    counts = [int(n) for n in rng.integers(16_000, 80_000, 600)]
    texts = ["".join(rng.choice(list("abcdefghijklmnop"), 7 * n // 16_000)) for n in counts]
    audio = rng.integers(-3000, 3000, sum(counts), dtype=np.int16)
    return Pool(PoolIndex({}, [str(n) for n in range(len(counts))], texts, counts, {}), audio, 16_000)


if __name__ == "__main__":
    main()
