"""Kept chunks made by hand: data directories, and the expected batches of a student, computed in a simple way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from k2d.models.codec import Request

WORDS = ["我們", "today", "park", "玩", "hello", "你好", "the plan", "smart"]
NO_LOSS = -100


@dataclass(frozen=True)
class Made:
    """A chunk of a test: its segments in seconds from its own start."""

    id: str
    recording: str
    audio: str
    start_s: float
    end_s: float
    segments: tuple[tuple[float, float, str], ...]
    language: str = ""

    @property
    def label(self) -> str:
        return "".join(f"<{start:.2f}>{text}<{end:.2f}>" for start, end, text in self.segments)

    @property
    def plain(self) -> str:
        return " ".join(text for _, _, text in self.segments)


def draw_chunks(recordings: dict[str, str], n_each: int, seed: int, languages: tuple[str, ...] = ()) -> list[Made]:
    """Chunks that are adjacent, overlap, or are far apart. Each fifth is a loop that is too long for the decoder."""
    rng, made = Random(seed), []
    for name, audio in recordings.items():
        at = 0.0
        for n in range(n_each):
            start = round(at + rng.choice([0.0, 0.5, 4.9, 5.0, 7.0]), 2)
            ends = sorted(rng.sample(range(2, 15), rng.randint(1, 3)))
            starts = [0, *ends[:-1]]
            texts = [" ".join(rng.choices(WORDS, k=rng.randint(1, 4))) for _ in ends]
            if n % 5 == 3:
                texts[-1] = " ".join(["loop"] * 60)
            segments = tuple((a / 10, b / 10, text) for a, b, text in zip(starts, ends, texts, strict=True))
            end = round(start + ends[-1] / 10, 2)
            at = round(start + starts[-1] / 10, 2) if n % 4 == 2 else end  # the next one begins with this one's last
            language = rng.choice(languages) if languages else ""
            made.append(Made(f"{name}-{n:03d}", name, audio, start, end, segments, language))
    return made


def write_chunks(folder: Path, chunks: list[Made]) -> Path:
    """Write the data directory of chunks."""
    folder.mkdir(parents=True)
    recordings = {chunk.recording: chunk.audio for chunk in chunks}
    tables = {
        "wav.scp": [f"{name} {audio}" for name, audio in sorted(recordings.items())],
        "segments": [f"{c.id} {c.recording} {c.start_s} {c.end_s}" for c in chunks],
        "text": [f"{c.id} {c.label}" for c in chunks],
        "utt2spk": [f"{c.id} {c.recording}" for c in chunks],
        "spk2utt": [f"{n} " + " ".join(c.id for c in chunks if c.recording == n) for n in sorted(recordings)],
    }
    if all(chunk.language for chunk in chunks):
        tables["utt2lang"] = [f"{c.id} {c.language}" for c in chunks]
    for name, lines in tables.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Wanted:
    """The expected batches of the chunks of some folders."""

    folders: list[list[Made]]
    held_out: set[str]
    codec: object
    max_tokens: int
    batch_size: int
    timestamps_probability: float = 1.0
    previous_text_probability: float = 0.0
    languages: tuple[str, ...] = ()
    token_noise: float = 0.0

    def learnt(self) -> list[tuple[Made, str]]:
        """The chunks that fit, in order, each with its previous text."""
        found = []
        for chunks in self.folders:
            for n, chunk in enumerate(chunks):
                if chunk.recording not in self.held_out and len(self.codec.ids(chunk.label)) + 5 < self.max_tokens:
                    found.append((chunk, _before(chunk, chunks[n - 1]) if n else ""))
        return found

    def batch(self, seed: int, step: int) -> list[dict[str, object]]:
        """The samples of a step, of all processes together."""
        learnt = self.learnt()
        lengths = [len(self.codec.ids(chunk.label)) for chunk, _ in learnt]
        numbers = numbers_of_step(lengths, self.batch_size, (seed, 0), step)
        words = sorted({token for chunk, _ in learnt for token in self.codec.ids(chunk.plain)})
        return [self._sample(*learnt[number], seed, step, place, words) for place, number in enumerate(numbers)]

    def _sample(self, chunk: Made, before: str, seed: int, step: int, place: int, words: list[int]):
        rng = np.random.default_rng((seed, 0, step, place))
        has_times = rng.random() < self.timestamps_probability
        previous = before if rng.random() < self.previous_text_probability else ""
        guessed = () if self.languages or not chunk.language else (chunk.language,)
        request = Request(self.languages or guessed, has_times)
        ids, n_prompt = self.codec.label(chunk.label if has_times else chunk.plain, request, previous)
        inputs, targets = ids[:-1], [NO_LOSS] * (n_prompt - 1) + ids[n_prompt:]
        if guessed:
            place_of_language = ids.index(self.codec.language_ids[chunk.language])
            targets[place_of_language - 1] = ids[place_of_language]
        clean = None
        if self.token_noise:
            is_drawn, others = rng.random(len(inputs)) < self.token_noise, rng.choice(words, len(inputs))
            clean = inputs
            inputs = [
                int(others[n]) if is_drawn[n] and n >= n_prompt and token in words else token
                for n, token in enumerate(inputs)
            ]
        text = self.codec.ids(chunk.plain)
        return {"chunk": chunk, "inputs": inputs, "targets": targets, "text": text, "clean": clean}


def _before(chunk: Made, other: Made) -> str:
    """The segments of the previous chunk that begin before this chunk."""
    if other.recording != chunk.recording or chunk.start_s - other.end_s >= 5.0:
        return ""
    return " ".join(text for start, _, text in other.segments if start < round(chunk.start_s - other.start_s, 2))


def numbers_of_step(lengths: list[int], batch_size: int, key: tuple[int, ...], step: int) -> list[int]:
    """Shuffle; sort twenty batches at a time by length and cut them; shuffle the batches."""
    size = min(batch_size, len(lengths))
    n_batches = len(lengths) // size
    rng = np.random.default_rng((*key, step // n_batches))
    shuffled = rng.permutation(len(lengths)).tolist()[: n_batches * size]
    in_order = []
    for at in range(0, len(shuffled), 20 * size):
        in_order += sorted(shuffled[at : at + 20 * size], key=lambda number: lengths[number])
    batches = [in_order[at : at + size] for at in range(0, len(in_order), size)]
    return batches[rng.permutation(n_batches)[step % n_batches]]
