"""A Whisper of two and two layers that has learnt a few recordings by heart: it says something, with times.

Words are tones, so that no synthesiser is needed. The encoder is random and stays so; the decoder is trained for a
minute on what it makes of every window that decoding will look at. The checkpoint is kept beside other temporary
files, under a name that changes with this file.
"""

from __future__ import annotations

import fcntl
import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn
from torch.nn import functional as F
from whisper_made import made_state

from k2d.models.interface import Memory
from k2d.models.whisper.dims import RATE_HZ, WhisperDims

DIMS = WhisperDims(80, 1500, 64, 4, 2, 51_865, 448, 64, 4, 2)
WINDOW_S = 30.0
N_STEPS, BATCH, NOISE = 220, 8, 0.05

SENTENCES = [
    ("zh", "我們 today 去 park 玩"),
    ("en", "hello world, how are you?"),
    ("zh", "今天 的 lecture 很 短"),
    ("en", "the plan is smart"),
    ("zh", "你好, 世界"),
    ("zh", "這個 function 有 問題"),
    ("en", "please open the window"),
    ("zh", "明天 再 見"),
]


@dataclass(frozen=True)
class Sentence:
    start_s: float
    end_s: float
    language: str
    text: str


@dataclass(frozen=True)
class Talk:
    """A recording: its sentences and its length."""

    id: str
    duration_s: float
    sentences: tuple[Sentence, ...]


def talks() -> list[Talk]:
    """Recordings of several windows, of less than one, with a sentence cut by the window, and with a long silence."""
    rng = np.random.default_rng(7)
    made = []
    for name, n_said, tail_s, gap_s in (
        ("long", 26, 3.0, 0.7),
        ("short", 3, 1.5, 0.7),
        ("cut", 13, 0.0, 0.5),
        ("pause", 6, 2.0, 0.8),
    ):
        sentence, now_s = [], 0.0 if name != "short" else 0.4
        for n in range(n_said):
            language, text = SENTENCES[int(rng.integers(len(SENTENCES)))]
            length_s = 0.5 * len(text.split()) + float(rng.integers(0, 20)) / 50
            sentence.append(Sentence(round(now_s, 2), round(now_s + length_s, 2), language, text))
            now_s += length_s + gap_s * float(rng.integers(0, 2))
            if name == "pause" and n == 2:
                now_s = 60.5  # a window in which nobody speaks lies before
        made.append(Talk(name, round(sentence[-1].end_s + tail_s, 2), tuple(sentence)))
    return made


def sound(talk: Talk) -> np.ndarray:
    """The samples: a chord for each word during its share of the sentence, with noise."""
    samples = np.random.default_rng(len(talk.sentences)).standard_normal(round(talk.duration_s * RATE_HZ)) * 1e-3
    for sentence in talk.sentences:
        words = sentence.text.split()
        borders = np.linspace(sentence.start_s, sentence.end_s, len(words) + 1)
        for word, start_s, end_s in zip(words, borders[:-1], borders[1:], strict=True):
            first, last = round(start_s * RATE_HZ), round(end_s * RATE_HZ)
            pitch = np.random.default_rng(list(word.encode())).uniform(200, 3500, 3)
            time_s = np.arange(last - first) / RATE_HZ
            samples[first:last] += 0.1 * np.sin(2 * np.pi * pitch[:, None] * time_s).sum(0)
    return samples.astype(np.float32)


def write_talks(folder: Path) -> list[Path]:
    """The recordings as WAV files."""
    folder.mkdir(parents=True, exist_ok=True)
    for talk in talks():
        soundfile.write(folder / f"{talk.id}.wav", sound(talk), RATE_HZ, subtype="PCM_16")
    return [folder / f"{talk.id}.wav" for talk in talks()]


def windows(talk: Talk) -> list[tuple[float, str, str]]:
    """Start, language and label of each window of decoding, if the texts are correct.

    Of a segment that the window cuts, only the start is in the label, and the next window begins there.
    """
    found, start_s = [], 0.0
    while start_s < talk.duration_s:
        inside = [
            sentence for sentence in talk.sentences if start_s - 1e-6 <= sentence.start_s < start_s + WINDOW_S - 0.02
        ]
        whole = [sentence for sentence in inside if sentence.end_s <= start_s + WINDOW_S]
        label = "".join(f"<{s.start_s - start_s:.2f}>{s.text}<{s.end_s - start_s:.2f}>" for s in whole)
        if not whole:
            found.append((start_s, "", ""))
            start_s += WINDOW_S
        elif len(whole) < len(inside):
            next_s = inside[len(whole)].start_s
            at = f"<{next_s - start_s:.2f}>"
            label += at + at if whole[-1].end_s != next_s else at
            found.append((start_s, whole[0].language, label))
            start_s = round(next_s, 2)
        else:
            found.append((start_s, whole[0].language, label))
            start_s += WINDOW_S
    return found


def tiny_checkpoint() -> Path:
    """The trained checkpoint in OpenAI's format. It is trained at the first call on a machine."""
    own = hashlib.sha256(
        b"".join(Path(__file__).with_name(n).read_bytes() for n in ("whisper_tiny.py", "whisper_made.py"))
    )
    folder = Path(tempfile.gettempdir()) / "k2d-whisper-tiny"
    folder.mkdir(exist_ok=True)
    path = folder / f"{own.hexdigest()[:16]}.pt"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_file():
            _train(path)
    return path


def _train(path: Path) -> None:
    from k2d.models.whisper.checkpoint import WhisperWeights
    from k2d.models.whisper.recogniser import WhisperRecogniser

    model = WhisperRecogniser.of(WhisperWeights(DIMS, _beginning()))
    memory_NTD, rows = _material(model)
    used = torch.tensor(sorted({token for row in rows for token in row} | set(range(50_257, DIMS.n_vocab))))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _fit(model, memory_NTD, rows, used)
    partial = path.with_suffix(".partial")
    torch.save({"dims": DIMS.as_dict(), "model_state_dict": model.network.state_dict()}, partial)
    partial.rename(path)


def _beginning() -> dict[str, torch.Tensor]:
    """Random weights. The encoder's positions are the usual ones of Whisper."""
    from whisper.model import sinusoids

    state = made_state(DIMS, seed=1)
    for name, tensor in state.items():
        if name.startswith("decoder") and tensor.dim() == 2:
            tensor.mul_(0.3 if "embedding" in name else 0.5)
        if "blocks" in name and name.startswith("encoder"):
            tensor.mul_(0.5)
    state["encoder.positional_embedding"] = sinusoids(DIMS.n_audio_ctx, DIMS.n_audio_state)
    return state


def _material(model) -> tuple[torch.Tensor, list[list[int]]]:
    """The encoder's output for each window in its recording, with the ids of prompt, label and end."""
    from k2d.models.codec import Request
    from k2d.models.interface import WindowInContext
    from k2d.models.whisper.library import MARGIN

    states, rows = [], []
    for talk in talks():
        speech = np.pad(sound(talk), (MARGIN, MARGIN + RATE_HZ * 30))
        loudest = model.loudest(torch.from_numpy(speech))
        for start_s, language, label in windows(talk):
            first = round(start_s * RATE_HZ)
            n_samples = min(round(talk.duration_s * RATE_HZ) - first, round(WINDOW_S * RATE_HZ))
            part = torch.from_numpy(speech[first : first + n_samples + 2 * MARGIN])
            with torch.no_grad():  # as a part of its recording, and alone as other tools encode it
                states.append(model.encode_in_context([WindowInContext(part, n_samples, loudest)]).states_BTD[0])
                states.append(model.encode(part[None, MARGIN : MARGIN + n_samples]).states_BTD[0])
            sot, no_speech = model.codec.tokenizer.sot, model.codec.tokenizer.no_speech
            rows += 2 * [model.codec.label(label, Request((language,)))[0] if label else [sot, no_speech]]
    return torch.stack(states), rows


def _fit(model, memory_NTD, rows, used) -> None:
    """Train with cross-entropy over the tokens in use. All other tokens are one class, with their joint probability."""
    decoder = model.network.decoder
    whole_VD = decoder.token_embedding.weight.detach()
    class_V = torch.full((DIMS.n_vocab,), len(used))
    class_V[used] = torch.arange(len(used))
    other = next(n for n in range(1000, DIMS.n_vocab) if class_V[n] == len(used))  # stands for all that is not used
    # Only these rows are trained: gradients and optimiser of the whole vocabulary would take most of the time.
    decoder.token_embedding = nn.Embedding.from_pretrained(whole_VD[[*used.tolist(), other]], freeze=False)
    bias = torch.zeros(len(used) + 1)
    bias[-1] = float(np.log(DIMS.n_vocab - len(used)))
    longest = max(map(len, rows))
    ids_NL = torch.tensor([row + [50_257] * (longest - len(row)) for row in rows])
    is_real_NL = torch.tensor([[n < len(row) for n in range(longest)] for row in rows])
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=3e-3, weight_decay=0.0, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=N_STEPS)
    for _ in range(N_STEPS):
        chosen = torch.randperm(len(rows))[:BATCH]
        width = int(is_real_NL[chosen].sum(1).max())
        classes_BL, is_real_BL = class_V[ids_NL[chosen, :width]], is_real_NL[chosen, 1:width]
        heard_BTD = memory_NTD[chosen]
        heard_BTD = heard_BTD + NOISE * torch.randn_like(heard_BTD)
        hidden_BLD = model.hidden(Memory(heard_BTD), classes_BL[:, :-1])
        logits = hidden_BLD[is_real_BL] @ decoder.token_embedding.weight.T + bias
        loss = F.cross_entropy(logits, classes_BL[:, 1:][is_real_BL])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    assert loss.item() < 0.05, f"the tiny Whisper has not learnt its recordings: its loss is {loss.item():.3f}"
    decoder.token_embedding = nn.Embedding.from_pretrained(decoder.token_embedding.weight.detach()[class_V])
