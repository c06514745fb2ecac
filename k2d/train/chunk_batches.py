"""Kept chunks as training data: audio is read from the long recordings by seeking, labels come from a table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from k2d.data.audio import read, resolve
from k2d.models.interface import Codec, Request, Window
from k2d.train.batches import IGNORED, Batch, Sample, TrainingProcess, collate, with_noise
from k2d.train.bucketing import LengthBatches
from k2d.train.chunk_table import ChunkTable, LabelledChunk
from k2d.train.keys import StepKey
from k2d.train.sharing import check_data, parts_of
from k2d.train.vocabulary import VocabularyInUse


@dataclass(frozen=True, slots=True)
class Labelling:
    """How a chunk's label is presented to the student."""

    timestamps_probability: float = 1.0
    previous_text_probability: float = 0.0
    languages: tuple[str, ...] = ()
    token_noise: float = 0.0

    @property
    def is_always_the_same(self) -> bool:
        return self.timestamps_probability == 1 and self.previous_text_probability == 0


@dataclass(frozen=True, slots=True)
class ChunkMaterial:
    """The data of a student's training."""

    chunks: ChunkTable
    codec: Codec
    window: Window
    labelling: Labelling = field(default_factory=Labelling)
    encoded: TeacherOutputs | None = None
    """If given, these are read, and neither the audio nor the teacher is needed."""
    vocabulary: VocabularyInUse | None = None
    """If given, no chunk may have another token."""
    weights_N: NDArray[np.float32] | None = None
    """The weight of each chunk's loss, by number."""
    nonspeech: Nonspeech | None = None
    """If given, a part of each batch."""


@dataclass(frozen=True, slots=True)
class Nonspeech:
    """Chunks in which nobody speaks."""

    chunks: ChunkTable
    n_per_batch: int


class TeacherOutputs(Protocol):
    """The teacher's outputs for each chunk, computed before."""

    def states(self, chunk: LabelledChunk) -> NDArray[np.float32]: ...

    def hidden(self, chunk: LabelledChunk) -> NDArray[np.float32]: ...


def heldout_recordings(recordings: Iterable[str], share: float, seed: int) -> frozenset[str]:
    """The recordings that no student learns from: they are used to choose checkpoints. At least one if the share is not
    0.

    The choice depends only on names and seed, so it is the same for every method. A larger share adds recordings.

    >>> sorted(heldout_recordings(["a", "b", "c"], 0.02, 1)) == sorted(heldout_recordings(["c", "b", "a"], 0.02, 1))
    True
    >>> len(heldout_recordings(["a", "b", "c"], 0.7, 1)), len(heldout_recordings(["a", "b", "c"], 0.0, 1))
    (2, 0)
    """
    ordered = sorted(recordings, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    n_held = max(1, round(share * len(ordered))) if share > 0 else 0
    return frozenset(ordered[:n_held])


def speech_of(chunk: LabelledChunk, rate_hz: int, n_samples: int) -> NDArray[np.float32]:
    """The chunk's audio, padded with silence to the window's length."""
    speech = read(resolve(chunk.audio), chunk.start_s, chunk.end_s, rate_hz=rate_hz)
    padded = np.zeros(n_samples, np.float32)
    padded[: len(speech)] = speech[:n_samples]
    return padded


_SILENT = np.zeros(0, np.float32)


class _Drawn(NamedTuple):
    """A chunk of a batch: its table, and its number there."""

    table: ChunkTable
    number: int
    has_speech: bool = True


class ChunkBatches(Dataset[list[Batch]]):
    """Item `step` is this process's share of the step's batch, in as many parts as it has backward passes."""

    def __init__(
        self, material: ChunkMaterial, batch_size: int, accumulate: int, key: tuple[int, int], process: TrainingProcess
    ) -> None:
        self._material, self._accumulate, self._process, self._key = material, accumulate, process, key
        n_silent = material.nonspeech.n_per_batch if material.nonspeech else 0
        self._by_length = LengthBatches(material.chunks.lengths, batch_size - n_silent, key)
        self._silent = LengthBatches(material.nonspeech.chunks.lengths, n_silent, key) if material.nonspeech else None
        check_data(len(self._drawn(0)), process.world)

    def __getitem__(self, step: int) -> list[Batch]:
        drawn = self._drawn(step)
        parts = parts_of(len(drawn), self._process.rank, self._process.world, self._accumulate)
        return [self._batch(step, [drawn[place] for place in part], part) for part in parts]

    def _drawn(self, step: int) -> list[_Drawn]:
        """The chunks of the whole batch. Those without speech come last."""
        material = self._material
        drawn = [_Drawn(material.chunks, int(number)) for number in self._by_length.batch(step)]
        if material.nonspeech is not None and self._silent is not None:
            silent = material.nonspeech.chunks
            drawn += [_Drawn(silent, int(number), has_speech=False) for number in self._silent.batch(step)]
        return drawn

    def _batch(self, step: int, drawn: Sequence[_Drawn], places: range) -> Batch:
        chunks = [each.table[each.number] for each in drawn]
        samples = zip(places, drawn, chunks, strict=True)
        batch = collate([self._sample(step, place, each, chunk) for place, each, chunk in samples])
        weights_N = self._material.weights_N
        if weights_N is not None:
            weights = [float(weights_N[each.number]) if each.has_speech else 1.0 for each in drawn]
            batch = batch._replace(weights_B=torch.tensor(weights))
        if self._silent is not None:
            batch = batch._replace(is_taught_B=torch.tensor([each.has_speech for each in drawn]))
        encoded = self._material.encoded
        return batch if encoded is None else self._with_encoded(batch, chunks, encoded)

    def _with_encoded(self, batch: Batch, chunks: Sequence[LabelledChunk], encoded: TeacherOutputs) -> Batch:
        batch = batch._replace(states_BTD=torch.from_numpy(np.stack([encoded.states(chunk) for chunk in chunks])))
        if not self._material.labelling.is_always_the_same:
            return batch
        hidden = [torch.from_numpy(encoded.hidden(chunk)) for chunk in chunks]
        return batch._replace(teacher_hidden_BLD=pad_sequence(hidden, batch_first=True))

    def _sample(self, step: int, place: int, drawn: _Drawn, chunk: LabelledChunk) -> Sample:
        """A chunk with the prompt, the timestamps and the noise that are drawn for this step."""
        material = self._material
        rng = StepKey(*self._key, step).generator(place)
        window = material.window
        speech = _SILENT if material.encoded else speech_of(chunk, window.rate_hz, window.n_samples)
        labelling = material.labelling
        timestamps = rng.random() < labelling.timestamps_probability
        has_previous = rng.random() < labelling.previous_text_probability
        previous_ids = drawn.table.ids_before(drawn.number, material.codec) if has_previous else []
        label = decoder_sequence(chunk, material.codec, labelling.languages, timestamps, previous_ids)
        if material.vocabulary is not None:
            material.vocabulary.check(np.append(label.inputs, label.targets[-1]), chunk.id)
        inputs, clean = label.inputs, None
        if labelling.token_noise:
            clean = label.inputs
            inputs = with_noise(rng, clean, label.n_prompt, material.chunks.words, labelling.token_noise)
        text = np.array(chunk.plain_ids, dtype=np.int64)
        return Sample(chunk.id, speech, inputs, label.targets, text, clean_inputs=clean)


class DecoderSequence(NamedTuple):
    """A label in the form that decoders read and predict."""

    inputs: NDArray[np.int64]
    """The prompt and the text."""
    targets: NDArray[np.int64]
    """The next token at each place; IGNORED within the prompt, except for a language that the model guesses."""
    n_prompt: int


def decoder_sequence(
    chunk: LabelledChunk,
    codec: Codec,
    languages: tuple[str, ...],
    timestamps: bool = True,
    previous_ids: Sequence[int] = (),
) -> DecoderSequence:
    """The chunk's label behind its prompt, which names the languages of the config, or else the chunk's own."""
    # Without a language in the config the teacher guessed one for each window. In the label that guess stands in the
    # prompt, and it is a target as well, so that the student learns to guess.
    guessed = None if languages else chunk.language
    request = Request(languages or ((guessed,) if guessed else ()), timestamps)
    ids, n_prompt = codec.sequence(chunk.ids if timestamps else chunk.plain_ids, request, previous_ids)
    sequence = np.array(ids, dtype=np.int64)
    targets = sequence[1:].copy()
    targets[: n_prompt - 1] = IGNORED
    if guessed is not None and (token := codec.language_ids.get(guessed)) is not None:
        targets[ids.index(token) - 1] = token
    return DecoderSequence(sequence[:-1], targets, n_prompt)
