"""A recogniser of two thousand weights that trains quickly, and a pool of tones for it."""

from __future__ import annotations

import hashlib
import math
import os
import signal
from pathlib import Path

import torch
from torch import nn
from train_pool import RATE_HZ, make_pool

from k2d.config import settings_of
from k2d.config.training import Phase, Training
from k2d.core.stamp import Recipe
from k2d.models.interface import Memory, Window
from k2d.text.timestamps import strip_timestamps
from k2d.train.batches import Material
from k2d.train.engine import Setting
from k2d.train.supervised import train_recogniser

HOP = 50
WINDOW = Window(length_s=2.0, rate_hz=RATE_HZ, time_step_s=0.1)
LETTERS = "abcdefgh 你好"
BLANK, EOS, SOS, NO_TIMES, FIRST_TIME = 0, 1, 2, 3, 4
FIRST_LETTER = FIRST_TIME + 21
VOCABULARY = FIRST_LETTER + len(LETTERS)


class FakeCodec:
    """A token for each letter and for each tenth of a second."""

    eos_id = EOS
    vocabulary_hash = hashlib.sha256(LETTERS.encode()).hexdigest()

    def ids(self, timed_text):
        ids, rest = [], timed_text
        while rest:
            if rest[0] == "<":
                mark, rest = rest[1:].split(">", 1)
                ids.append(FIRST_TIME + round(float(mark) * 10))
            else:
                ids.append(FIRST_LETTER + LETTERS.index(rest[0]))
                rest = rest[1:]
        return ids

    def timed_text(self, ids):
        return "".join(self._written(token) for token in ids)

    def text(self, ids):
        return strip_timestamps(self.timed_text(ids)).strip()

    def label(self, timed_text, request, previous_text=""):
        prompt = [SOS] if request.timestamps else [SOS, NO_TIMES]
        return [*prompt, *self.ids(timed_text), EOS], len(prompt)

    def _written(self, token):
        if token >= FIRST_LETTER:
            return LETTERS[token - FIRST_LETTER]
        return f"<{(token - FIRST_TIME) / 10:.2f}>" if token >= FIRST_TIME else ""


class FakeRecogniser:
    """Frames of 50 samples; a decoder that sees its input so far and the mean of the frames."""

    family = "fake"
    window = WINDOW
    max_tokens = 64
    ctc_blank_id = BLANK

    def __init__(self, seed=0, dropout=0.2):
        torch.manual_seed(seed)
        self.codec = FakeCodec()
        self.network = nn.ModuleDict(
            {
                "frontend": nn.Sequential(nn.Linear(HOP, 16), nn.Tanh(), nn.Dropout(dropout)),
                "encoder": nn.Linear(16, 16),
                "decoder": nn.ModuleDict(
                    {"embed": nn.Embedding(VOCABULARY, 16), "rnn": nn.GRU(16, 16, batch_first=True)}
                ),
                "drop": nn.Dropout(dropout),
                "output": nn.Linear(16, VOCABULARY),
                "ctc": nn.Linear(16, VOCABULARY),
            }
        )
        self.n_encoded = 0

    freeze_positions = False
    skips_layers = False

    def positions(self):
        return []

    def decoder_layers(self):
        return []

    def parts(self):
        of = self.network
        return {
            "encoder": (of["frontend"], of["encoder"]),
            "ctc_head": (of["ctc"],),
            "decoder": (of["decoder"], of["drop"]),
            "output_layer": (of["output"],),
        }

    def classes(self, tokens):
        return tokens

    def encode_unpadded(self, speech_BN, n_samples_B):
        self.n_encoded += 1
        n_frames = math.ceil(speech_BN.shape[1] / HOP)
        padded = nn.functional.pad(speech_BN, (0, n_frames * HOP - speech_BN.shape[1]))
        states = self.network["encoder"](self.network["frontend"](padded.unflatten(1, (n_frames, HOP))))
        return Memory(states), (n_samples_B + HOP - 1) // HOP

    def logits(self, memory, tokens_BL):
        decoder = self.network["decoder"]
        hidden, _ = decoder["rnn"](decoder["embed"](tokens_BL) + memory.states_BTD.mean(1, keepdim=True))
        return self.network["output"](self.network["drop"](hidden))

    def ctc_log_probs(self, memory):
        return self.network["ctc"](memory.states_BTD).log_softmax(-1)

    def n_parameters(self):
        return {"total": sum(parameter.numel() for parameter in self.network.parameters())}


def material(**pool):
    return Material(make_pool(**pool), FakeCodec(), WINDOW)


PHASES = {
    "encoder": Phase(data="utterances", train="encoder", steps=8, batch_size=4, lr=1e-2, warmup_steps=3),
    "all": Phase(data="windows", train="all", steps=12, batch_size=4, accumulate=2, lr=1e-2, token_noise=0.2),
}


def recipe_of(training):
    return Recipe("test", 1, {"training": settings_of(training)}, {})


class StoppingRecogniser(FakeRecogniser):
    """Sends its own process a signal during the step $STOP_AT, counted over all phases."""

    def ctc_log_probs(self, memory):
        self.n_seen = getattr(self, "n_seen", 0) + 1
        steps_seen = self.n_seen if self.n_seen <= 8 else 8 + (self.n_seen - 7) // 2  # two passes a step in the second
        if str(steps_seen) == os.environ.get("STOP_AT"):
            os.kill(os.getpid(), getattr(signal, f"SIG{os.environ['STOP_BY']}"))
        return super().ctc_log_probs(memory)


def main(folder, n_workers):
    """Train the two phases. This function runs in a process of its own."""
    torch.set_num_threads(1)
    training = Training(phases=PHASES, checkpoint_every_steps=3)
    setting = Setting(Path(folder), seed=5, n_workers=int(n_workers))
    recogniser = StoppingRecogniser(seed=5)
    train_recogniser(recogniser, training, material(), setting, recipe=recipe_of(training))
    torch.save(recogniser.network.state_dict(), Path(folder) / "final.pt")
