"""Kept chunks as training data: audio read from the long recordings by seeking, labels with their timestamps."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from k2d.data.audio import read, resolve
from k2d.data.chunk_sources import Source, read_sources
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.rows import Utterance
from k2d.faults import K2DError
from k2d.models.recogniser import Codec, Request, Window
from k2d.paths import shown
from k2d.text.timestamps import text_before
from k2d.train.batches import IGNORED, Batch, Sample, Share, collate, plain, with_noise
from k2d.train.bucketing import LengthBatches
from k2d.train.keys import StepKey


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a recording with what the teacher heard in it."""

    id: str
    audio: str
    start_s: float | None
    end_s: float | None
    label: str
    previous: str = ""
    """What was said before it in the recording, without times: the text of the chunk before, if that is near."""
    language: str | None = None
    """The teacher's guess, where it was told none: the student is to learn to guess as well."""


@dataclass(frozen=True, slots=True)
class Labelling:
    """How a chunk's label is shown to the student."""

    timestamps_probability: float = 1.0
    previous_text_probability: float = 0.0
    languages: tuple[str, ...] = ()
    token_noise: float = 0.0

    @property
    def is_always_the_same(self) -> bool:
        return self.timestamps_probability == 1 and self.previous_text_probability == 0


@dataclass(frozen=True, slots=True)
class ChunkMaterial:
    """What a student's training draws from."""

    chunks: Sequence[Chunk]
    codec: Codec
    window: Window
    labelling: Labelling = field(default_factory=Labelling)
    encoded: Encoded | None = None
    """In place of the audio, and of the teacher's work on it."""


class Encoded(Protocol):
    """What the teacher makes of each chunk."""

    def states(self, chunk: Chunk) -> NDArray[np.float32]: ...

    def hidden(self, chunk: Chunk) -> NDArray[np.float32]: ...


def heldout_recordings(recordings: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """The recordings that no student learns from, to choose its checkpoints by: at least one, if any share is wanted.

    It depends on names and seed alone, so that it is the same for every method, and grows with the share.

    >>> sorted(heldout_recordings(["a", "b", "c"], 0.02, 1)) == sorted(heldout_recordings(["c", "b", "a"], 0.02, 1))
    True
    >>> len(heldout_recordings(["a", "b", "c"], 0.7, 1)), len(heldout_recordings(["a", "b", "c"], 0.0, 1))
    (2, 0)
    """
    ordered = sorted(recordings, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    n_held = max(1, round(share * len(ordered))) if share > 0 else 0
    return frozenset(ordered[:n_held])


def read_chunks(folders: Mapping[Path, Collection[str]]) -> list[Chunk]:
    """The chunks of data directories, each without those of the recordings named; K2DError if none is left."""
    found = [chunk for folder in folders for chunk in _with_previous(_sourced(folder), folders[folder])]
    if not found:
        where = ", ".join(shown(folder) for folder in folders) or "no folder"
        raise K2DError(f"{where}: holds no chunk to learn from beside those held out; keep more of them (select.alpha)")
    return found


def _sourced(folder: Path) -> Iterator[tuple[Utterance, Source]]:
    """Each chunk with the stretches of the recording that it was made of."""
    return ((row, source) for row, (_, source) in zip(read_utterances(folder), read_sources(folder), strict=True))


def _with_previous(rows: Iterable[tuple[Utterance, Source]], without: Collection[str]) -> Iterator[Chunk]:
    """Chunks of a recording follow one another by id, but need not be neighbours once some were dropped."""
    before: tuple[Utterance, Source] | None = None
    for row, source in rows:
        if source.recording_id not in without:
            previous = _said_before(source, *before) if before else ""
            yield Chunk(row.id, row.audio, row.start_s, row.end_s, row.text or "", previous, row.language)
        before = row, source


def _said_before(source: Source, before: Utterance, before_source: Source) -> str:
    """The text of the chunk before, if it is a neighbour, without what this one says again from its beginning.

    A chunk of the clock may be labelled into the segment that it cuts off; the next chunk begins with that segment.
    """
    if before_source.recording_id != source.recording_id or source.start_s - before_source.end_s >= _NEIGHBOURS_S:
        return ""
    return plain(text_before(before.text or "", round(source.start_s - before_source.start_s, 2)))


def speech_of(chunk: Chunk, rate_hz: int, n_samples: int) -> NDArray[np.float32]:
    """The chunk's audio, read by seeking, with silence behind it up to the window's length."""
    speech = read(resolve(chunk.audio), chunk.start_s, chunk.end_s, rate_hz=rate_hz)
    padded = np.zeros(n_samples, np.float32)
    padded[: len(speech)] = speech[:n_samples]
    return padded


_SILENT = np.zeros(0, np.float32)
_NEIGHBOURS_S = 5.0  # further apart, what was said before is no context


class ChunkBatches(Dataset[list[Batch]]):
    """Item `step` is this process's share of the step's batch, in as many parts as it has backward passes."""

    def __init__(
        self, material: ChunkMaterial, batch_size: int, accumulate: int, key: tuple[int, int], share: Share
    ) -> None:
        self._material, self._accumulate, self._share, self._key = material, accumulate, share, key
        lengths = np.array([len(material.codec.ids(chunk.label)) for chunk in material.chunks], dtype=np.int64)
        self._by_length = LengthBatches(lengths, batch_size, key)
        self._words = np.unique(np.concatenate([material.codec.ids(plain(chunk.label)) for chunk in material.chunks]))

    def __getitem__(self, step: int) -> list[Batch]:
        numbers = self._by_length.batch(step)
        places = range(self._share.rank, len(numbers), self._share.world)
        samples = [self._sample(step, place, int(numbers[place])) for place in places]
        size = -(-len(samples) // self._accumulate)
        parts = [slice(at, at + size) for at in range(0, len(samples), size)]
        batches = [collate(samples[part]) for part in parts]
        if self._material.encoded is None:
            return batches
        chunks = [self._material.chunks[int(numbers[place])] for place in places]
        return [
            self._with_encoded(batch, chunks[part], self._material.encoded)
            for batch, part in zip(batches, parts, strict=True)
        ]

    def _with_encoded(self, batch: Batch, chunks: Sequence[Chunk], encoded: Encoded) -> Batch:
        batch = batch._replace(states_BTD=torch.from_numpy(np.stack([encoded.states(chunk) for chunk in chunks])))
        if not self._material.labelling.is_always_the_same:
            return batch
        hidden = [torch.from_numpy(encoded.hidden(chunk)) for chunk in chunks]
        return batch._replace(teacher_hidden_BLD=pad_sequence(hidden, batch_first=True))

    def _sample(self, step: int, place: int, number: int) -> Sample:
        """A chunk as the step wants it."""
        chunk, material = self._material.chunks[number], self._material
        rng = StepKey(*self._key, step).generator(place)
        window = material.window
        speech = _SILENT if material.encoded else speech_of(chunk, window.rate_hz, window.n_samples)
        labelling = material.labelling
        timestamps = rng.random() < labelling.timestamps_probability
        previous = chunk.previous if rng.random() < labelling.previous_text_probability else ""
        said = sequence_of(chunk, material, timestamps, previous)
        noisy = self._with_noise(rng, said)
        text = np.array(material.codec.ids(plain(chunk.label)), dtype=np.int64)
        clean = None if noisy is said.inputs else said.inputs
        return Sample(chunk.id, speech, noisy, said.targets, text, clean_inputs=clean)

    def _with_noise(self, rng: np.random.Generator, said: Said) -> NDArray[np.int64]:
        share = self._material.labelling.token_noise
        return with_noise(rng, said.inputs, said.n_prompt, self._words, share) if share else said.inputs


class Said(NamedTuple):
    """A label as the decoders meet it."""

    inputs: NDArray[np.int64]
    """What they read: prompt and text."""
    targets: NDArray[np.int64]
    """What they are to say next; IGNORED within the prompt, but for a language that was guessed."""
    n_prompt: int


def sequence_of(chunk: Chunk, material: ChunkMaterial, timestamps: bool = True, previous: str = "") -> Said:
    """The chunk's label behind its prompt, which has the languages of the config, or else the chunk's own."""
    told = material.labelling.languages
    guessed = None if told else chunk.language
    request = Request(told or ((guessed,) if guessed else ()), timestamps)
    ids, n_prompt = material.codec.label(chunk.label if timestamps else plain(chunk.label), request, previous)
    sequence = np.array(ids, dtype=np.int64)
    targets = sequence[1:].copy()
    targets[: n_prompt - 1] = IGNORED
    if guessed is not None and (token := material.codec.language_ids.get(guessed)) is not None:
        targets[ids.index(token) - 1] = token
    return Said(sequence[:-1], targets, n_prompt)
