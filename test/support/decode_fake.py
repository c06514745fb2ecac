"""A fake recogniser for tests of decoding: it reads symbols from its audio, and checks how it is called.

A tape has a symbol for each 0.1 s: a letter is a constant value in thousandths of full scale, and silence is zero. The
test gives the function that returns the text of a window.
"""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from k2d.models.interface import Memory, Reading, Request, Started, Window, WindowSegment

WINDOW = Window(length_s=2.0, rate_hz=4_000, time_step_s=0.1)
SLOT = 400  # samples of a symbol
LETTERS = "abcdefghijklmnopqrstuvwxyz "
EOS, FIRST_TIME, N_TIMES = 0, 1, 21
FIRST_LETTER = FIRST_TIME + N_TIMES
N_IDS = FIRST_LETTER + len(LETTERS)
N_PROMPT = 2

NextLogits = Callable[[str, tuple[int, ...]], Sequence[float]]
_MARK = re.compile(r"<([0-9.]+)>")


def write_tape(path: Path, tape: str) -> Path:
    """A WAV file of these symbols; `_` is silence."""
    levels = np.repeat([0 if symbol == "_" else (1 + LETTERS.index(symbol)) * 1000 for symbol in tape], SLOT)
    soundfile.write(path, levels.astype(np.int16), WINDOW.rate_hz, subtype="PCM_16")
    return path


def read_tape(samples: Tensor) -> str:
    """The symbols of a window, silence at its end included."""
    levels = (samples[SLOT // 2 :: SLOT].double() * 32.768).round().long().tolist()
    return "".join("_" if level == 0 else LETTERS[level - 1] for level in levels)


def ids_of(timed_text: str) -> list[int]:
    """`<0.00>ab<0.20>` to ids.

    >>> ids_of("<0.10>a")
    [2, 22]
    """
    ids: list[int] = []
    for place, part in enumerate(_MARK.split(timed_text)):
        ids += [FIRST_TIME + round(float(part) * 10)] if place % 2 else [FIRST_LETTER + LETTERS.index(c) for c in part]
    return ids


def text_of_tape(tape: str) -> str:
    """The text of a perfect recogniser for a window: words with their times, the last one open if it is cut."""
    words = [(m.start(), m.end()) for m in re.finditer(r"[^_]+", tape)]
    parts = (f"<{a / 10:.2f}>{tape[a:b]}" + (f"<{b / 10:.2f}>" if b < len(tape) else "") for a, b in words)
    return "".join(parts)


def writing_script(script: Callable[[str], str]) -> NextLogits:
    """A network that writes the text that `script` returns for a window's tape, with high probability."""

    def next_logits(tape: str, prefix: tuple[int, ...]) -> Sequence[float]:
        ids = ids_of(script(tape.split("|")[-1]))
        token = ids[len(prefix)] if len(prefix) < len(ids) else EOS
        return [9.0 if token == other else 0.0 for other in range(N_IDS)]

    return next_logits


class FakeCodec:
    """A codec of letters and times. `read` pairs times as ESPnet does."""

    eos_id = EOS
    vocabulary_hash = "fake"

    def ids(self, timed_text: str) -> list[int]:
        return ids_of(timed_text)

    def timed_text(self, ids: Sequence[int]) -> str:
        return "".join(f"<{(i - FIRST_TIME) / 10:.2f}>" if i < FIRST_LETTER else LETTERS[i - FIRST_LETTER] for i in ids)

    def text(self, ids: Sequence[int]) -> str:
        return "".join(LETTERS[i - FIRST_LETTER] for i in ids if i >= FIRST_LETTER)

    def label(self, timed_text: str, request: Request, previous_text: str = "") -> tuple[list[int], int]:
        return [99] * N_PROMPT + ids_of(timed_text) + [EOS], N_PROMPT

    def read(self, ids: Sequence[int], audio_s: float) -> Reading:
        marks = [place for place, token in enumerate(ids) if token < FIRST_LETTER]
        times = [(ids[place] - FIRST_TIME) / 10 for place in marks]
        bounds = [*marks, len(ids)]
        parts = [tuple(ids[a + 1 : b]) for a, b in pairwise(bounds)]
        if not marks:
            return Reading((WindowSegment(0.0, audio_s, tuple(ids)),) if ids else (), None)
        if len(marks) == 1:
            return Reading((WindowSegment(times[0], audio_s, parts[0]),), None)
        pairs = [WindowSegment(times[n], times[n + 1], parts[n]) for n in range(0, len(marks) - 1, 2)]
        return Reading(tuple(pairs), times[-1])


class FakeDecoding:
    """A decoding state that holds the tokens of each row."""

    def __init__(self, recogniser: "FakeRecogniser", tapes: list[str]) -> None:
        self.recogniser, self.rows, self.n_beams = recogniser, [(tape, ()) for tape in tapes], 1

    def logits(self) -> Tensor:
        return torch.tensor([self.recogniser.next_logits(*row) for row in self.rows], dtype=torch.double)

    def step(self, tokens_R: Tensor) -> Tensor:
        self.recogniser.n_steps += 1
        self.recogniser.n_row_steps += len(self.rows)
        tokens = tokens_R.tolist()
        assert len(tokens) == len(self.rows)
        self.rows = [(tape, (*prefix, token)) for (tape, prefix), token in zip(self.rows, tokens, strict=True)]
        return self.logits()

    def keep(self, windows: Tensor) -> None:
        chosen = windows.tolist()
        assert chosen == sorted(set(chosen)), "each window once, in order"
        self.rows = [self.rows[w * self.n_beams + beam] for w in chosen for beam in range(self.n_beams)]

    def fan_out(self, n_beams: int) -> None:
        assert self.n_beams == 1
        self.rows, self.n_beams = [row for row in self.rows for _ in range(n_beams)], n_beams

    def reorder(self, rows_R: Tensor) -> None:
        chosen = rows_R.tolist()
        assert [row // self.n_beams for row in chosen] == [row // self.n_beams for row in range(len(self.rows))]
        self.rows = [self.rows[row] for row in chosen]


class FakeRecogniser:
    """Counts its work: encoded windows, steps, rows of all steps, and sizes of batches."""

    family = "fake"
    window = WINDOW
    codec = FakeCodec()
    device, dtype = torch.device("cpu"), torch.double

    def __init__(self, next_logits: NextLogits, max_tokens: int = 64, ctc_log_probs: Tensor | None = None) -> None:
        self.next_logits, self.max_tokens, self._ctc_log_probs = next_logits, max_tokens, ctc_log_probs
        self.has_silence_token = False
        self.n_steps = self.n_row_steps = self.n_windows = 0
        self.batch_sizes: list[int] = []
        self.prompts: list[tuple[int, ...]] = []

    ctc_blank_id = 0

    def encode(self, speech_BN: Tensor) -> Memory:
        assert speech_BN.shape[1] <= WINDOW.n_samples
        self.n_windows += len(speech_BN)
        self.batch_sizes.append(len(speech_BN))
        padded_BN = torch.nn.functional.pad(speech_BN, (0, WINDOW.n_samples - speech_BN.shape[1]))
        return Memory(padded_BN.unsqueeze(1))

    def ctc_log_probs(self, memory: Memory) -> Tensor | None:
        return None if self._ctc_log_probs is None else self._ctc_log_probs.expand(len(memory), -1, -1)

    def start(self, memory: Memory, request: Request, previous_ids: Sequence[Sequence[int]] | None = None) -> Started:
        tapes = [read_tape(states_1N[0]) for states_1N in memory.states_BTD]
        previous = previous_ids or [()] * len(tapes)
        self.prompts += [tuple(ids) for ids in previous]
        self.decoding = FakeDecoding(self, [f"{list(p)}|{t}" for p, t in zip(previous, tapes, strict=True)])
        silence = torch.tensor([0.9 if set(tape) <= {"_"} else 0.1 for tape in tapes])
        return Started(self.decoding, self.decoding.logits(), silence if self.has_silence_token else None, ())

    def constrain(self, logits_RV: Tensor, generated_RL: Tensor, request: Request) -> Tensor:
        expected = [list(prefix) for _, prefix in self.decoding.rows]
        assert generated_RL.tolist() == expected, "the generated ids are those that were fed"
        nothing_follows_R1 = (logits_RV == -torch.inf).all(dim=-1, keepdim=True)
        return logits_RV.log_softmax(-1).masked_fill(nothing_follows_R1, -torch.inf)
