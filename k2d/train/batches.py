"""From the pool to tensors: the sample at a position of a step, and the loader that makes the steps in order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import active_children
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from k2d.config.training import Phase
from k2d.core.errors import K2DError
from k2d.core.parent_process import end_with_parent
from k2d.models.codec import Codec, Request, Window
from k2d.text.timestamps import strip_timestamps
from k2d.train.augment import Augmenter, at_speed
from k2d.train.bucketing import LengthBatches
from k2d.train.keys import StepKey
from k2d.train.pool import Pool, Samples
from k2d.train.sharing import check_data, parts_of
from k2d.train.windows import Layout, Placed, compose, timed_text

IGNORED = -100  # a target without loss
_SILENT = np.zeros(0, np.float32)
_AHEAD = 4  # batches that a worker prepares before they are asked for


class Batch(NamedTuple):
    """What one backward pass needs. B samples, N audio samples, L tokens, C tokens without times."""

    ids: tuple[str, ...]
    """The utterances of each sample, joined by `+`."""
    speech_BN: Tensor
    n_samples_B: Tensor
    inputs_BL: Tensor
    """What the decoder reads: the label without its end, some of its words replaced."""
    targets_BL: Tensor
    """What it is to say next; IGNORED within the prompt and behind the end."""
    text_BC: Tensor
    """For CTC: the text alone, zeros behind."""
    n_text_B: Tensor
    states_BTD: Tensor | None = None
    """What the encoder makes of it, in place of the speech, where that was computed before."""
    clean_inputs_BL: Tensor | None = None
    """The inputs with no word replaced, where a teacher reads these."""
    teacher_hidden_BLD: Tensor | None = None
    """What the teacher's decoder makes of the inputs, where that was computed before."""
    kept_as: tuple[int, int] | None = None
    """Its number among batches that come again with other noise on the inputs. Only at first has it any speech."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of a batch."""

    id: str
    speech: Samples
    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    text: NDArray[np.int64]
    clean_inputs: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """What all phases of a training draw from."""

    pool: Pool
    codec: Codec
    window: Window
    request: Request = field(default_factory=Request)

    def words(self) -> NDArray[np.int64]:
        """The ids of which the pool's texts are made."""
        return np.unique([token for text in self.pool.texts for token in self.codec.ids(text)])


@dataclass(frozen=True, slots=True)
class TrainingProcess:
    """Which of the processes that train together this is."""

    rank: int = 0
    world: int = 1


class StepBatches(Dataset[list[Batch]]):
    """Item `step` is this process's share of the step's batch, in as many parts as it has backward passes."""

    def __init__(
        self, material: Material, phase: Phase, key: tuple[int, int], process: TrainingProcess, first_step: int = 0
    ) -> None:
        self._material, self._phase, self._process, self._first_step = material, phase, process, first_step
        self._seed, self._number = key
        window = material.window
        length_s = phase.window_s or window.length_s
        self._layout = Layout(length_s, window.time_step_s, phase.cut_share, short_share=phase.short_share)
        self._fitting = _fitting(material.pool, self._layout.length_s * phase.augment.speed[0])
        self._augment = Augmenter(phase.augment, material.pool)
        self._words = material.words()
        self._by_length = LengthBatches(material.pool.n_samples, phase.batch_size, key)
        check_data(self._n_samples(), process.world)

    def __getitem__(self, step: int) -> list[Batch]:
        phase, process = self._phase, self._process
        parts = parts_of(self._n_samples(), process.rank, process.world, phase.accumulate)
        batches = [collate([self.sample(step, at) for at in part]) for part in parts]
        if not phase.keep_batches:
            return batches
        number = step % phase.keep_batches
        return [batch._replace(kept_as=(number, part)) for part, batch in enumerate(batches)]

    def sample(self, step: int, position: int) -> Sample:
        """The sample at a position of a step's whole batch."""
        material, pool = self._material, self._material.pool
        noise_rng = rng = StepKey(self._seed, self._number, step).generator(position)
        is_heard = True
        if self._phase.keep_batches:
            is_heard = step - self._first_step < self._phase.keep_batches
            step %= self._phase.keep_batches
            rng = StepKey(self._seed, self._number, step).generator(position)
        speed = float(rng.uniform(*self._phase.augment.speed))
        if self._phase.data == "windows":
            drawn = compose(rng, pool.durations_s[self._fitting] / speed, self._layout)
            placed = tuple(replace(p, utterance=int(self._fitting[p.utterance])) for p in drawn)
        else:
            utterance = int(self._by_length.batch(step)[position])
            speed = max(speed, float(pool.durations_s[utterance]) / material.window.length_s)  # it has to fit
            n_steps = round(float(pool.durations_s[utterance]) / speed / self._layout.time_step_s)
            placed = (Placed(utterance, 0, n_steps),)
        label = timed_text(placed, pool.texts, self._layout.time_step_s)
        inputs, targets = self._sequence(noise_rng, label)
        return Sample(
            "+".join(pool.ids[p.utterance] for p in placed),
            self._augment(rng, self._speech(placed, speed)) if is_heard else _SILENT,
            inputs,
            targets,
            np.array(material.codec.ids(plain(label)), dtype=np.int64),
        )

    def _speech(self, placed: Sequence[Placed], speed: float) -> Samples:
        if self._phase.data == "windows":
            return render(self._material.pool, placed, self._layout, speed)
        return at_speed(self._material.pool.samples(placed[0].utterance), speed)

    def _n_samples(self) -> int:
        return self._phase.batch_size if self._phase.data == "windows" else len(self._by_length.batch(0))

    def _sequence(self, rng: np.random.Generator, label: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """What the decoder reads and what it is to say, from a timed text."""
        timestamps = self._phase.timestamps
        request = Request(self._material.request.languages, timestamps)
        ids, n_prompt = self._material.codec.label(label if timestamps else plain(label), request)
        sequence = np.array(ids, dtype=np.int64)
        targets = sequence[1:].copy()
        targets[: n_prompt - 1] = IGNORED
        return with_noise(rng, sequence[:-1], n_prompt, self._words, self._phase.token_noise), targets


def with_noise(
    rng: np.random.Generator, inputs: NDArray[np.int64], n_prompt: int, words: NDArray[np.int64], share: float
) -> NDArray[np.int64]:
    """A share of the words replaced by others; prompt and times stay."""
    chosen = (rng.random(len(inputs)) < share) & np.isin(inputs, words)
    chosen[:n_prompt] = False
    return np.where(chosen, rng.choice(words, len(inputs)), inputs)


def plain(label: str) -> str:
    """A timed text without its times, its segments parted by a space.

    >>> plain("<0.00>你好<1.20><2.00>so what<3.00>")
    '你好 so what'
    """
    return " ".join(strip_timestamps(label).split())


def _fitting(pool: Pool, length_s: float) -> NDArray[np.int64]:
    """The utterances that a window can hold."""
    fitting = np.flatnonzero(pool.durations_s <= length_s + 1e-9)
    if not len(fitting):
        raise K2DError(f"window_s is {length_s:g}, and every utterance of the pool is longer; set it higher")
    return fitting


def render(pool: Pool, placed: Sequence[Placed], layout: Layout, speed: float = 1.0) -> Samples:
    """The audio of a composed window; what lies beyond its end is cut."""
    speech = np.zeros(round(layout.length_s * pool.rate_hz), np.float32)
    for p in placed:
        start = round(p.start * layout.time_step_s * pool.rate_hz)
        utterance = at_speed(pool.samples(p.utterance), speed)[: len(speech) - start]
        speech[start : start + len(utterance)] = utterance
    return speech


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples side by side. Inputs are filled up with zeros, which a causal decoder never sees in time."""
    return Batch(
        ids=tuple(sample.id for sample in samples),
        speech_BN=_padded([sample.speech for sample in samples], 0),
        n_samples_B=torch.tensor([len(sample.speech) for sample in samples]),
        inputs_BL=_padded([sample.inputs for sample in samples], 0),
        targets_BL=_padded([sample.targets for sample in samples], IGNORED),
        text_BC=_padded([sample.text for sample in samples], 0),
        n_text_B=torch.tensor([len(sample.text) for sample in samples]),
        clean_inputs_BL=_padded([s.clean_inputs for s in samples if s.clean_inputs is not None], 0)
        if samples[0].clean_inputs is not None
        else None,
    )


def singles(batch: Batch) -> list[Batch]:
    """Each sample as a batch of its own."""
    return [_rows(batch, slice(at, at + 1)) for at in range(len(batch.ids))]


def _rows(batch: Batch, rows: slice) -> Batch:
    parts = {name: part for name, part in batch._asdict().items() if name != "kept_as" and part is not None}
    return Batch(**{name: part[rows] for name, part in parts.items()})


def _padded(rows: Sequence[NDArray[np.generic]], value: int) -> Tensor:
    return pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True, padding_value=value)


def _as_it_is(batches: list[Batch]) -> list[Batch]:
    return batches


def _begin(parent: int, started_by_main_thread: bool, _worker: int) -> None:
    """Signals are left to the parent, as a job that is asked to end still needs its last batches; its death is not."""
    end_with_parent(parent, started_by_main_thread=started_by_main_thread)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class StepLoader:
    """The steps from `first` to `last` (not included), in order, with the time spent waiting for them."""

    def __init__(self, batches: Dataset[list[Batch]], first: int, last: int, n_workers: int) -> None:
        self._loader = DataLoader(
            batches,
            batch_size=None,
            sampler=range(first, last),
            num_workers=n_workers,
            prefetch_factor=_AHEAD if n_workers else None,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_as_it_is,
            worker_init_fn=partial(_begin, os.getpid(), threading.current_thread() is threading.main_thread()),
        )
        self._n_steps = last - first
        self.waited_s = 0.0

    def __len__(self) -> int:
        return self._n_steps

    def __iter__(self) -> Iterator[list[Batch]]:
        started = time.perf_counter()
        others = set(active_children())
        batches = iter(self._loader)
        workers = set(active_children()) - others
        try:
            for batch in batches:
                self.waited_s += time.perf_counter() - started
                yield batch
                started = time.perf_counter()
        finally:
            del batches  # asks the workers to end and waits some seconds; then nothing of torch looks after them
            for worker in workers:
                worker.kill()  # those that still work: they ignore to be terminated
