"""Make tensors from the pool: the sample at a position of a step, and the loader that yields the steps in order."""

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
_PREFETCHED = 4  # batches that each worker prepares ahead


class Batch(NamedTuple):
    """The data of one backward pass. B samples, N audio samples, L tokens, C tokens without times."""

    ids: tuple[str, ...]
    """The utterances of each sample, joined by `+`."""
    speech_BN: Tensor
    n_samples_B: Tensor
    inputs_BL: Tensor
    """The decoder's input: the label without its end, with some of its words replaced."""
    targets_BL: Tensor
    """The next token at each place. IGNORED within the prompt and after the end."""
    text_BC: Tensor
    """For CTC: the text without times, padded with zeros."""
    n_text_B: Tensor
    states_BTD: Tensor | None = None
    """The encoder's output, if it was computed before. Then there is no speech."""
    clean_inputs_BL: Tensor | None = None
    """The inputs without replaced words, for the teacher."""
    teacher_hidden_BLD: Tensor | None = None
    """The teacher's last hidden states on the inputs, if they were computed before."""
    weights_B: Tensor | None = None
    """The weight of each sample's loss. None: 1."""
    is_taught_B: Tensor | None = None
    """Whether the terms that read the teacher count in a sample. None: in all."""
    kept_as: tuple[int, int] | None = None
    """The key under which the encoder's output is kept, for batches that are repeated with other noise on the inputs.
    They have speech only the first time."""


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
    """The data that all phases of a training use."""

    pool: Pool
    codec: Codec
    window: Window
    request: Request = field(default_factory=Request)

    def words(self) -> NDArray[np.int64]:
        """The ids that occur in the pool's texts, each once."""
        return np.unique([token for text in self.pool.texts for token in self.codec.ids(text)])


@dataclass(frozen=True, slots=True)
class TrainingProcess:
    """One of the processes that train together (in DDP's words: its rank and the world size)."""

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
        has_speech = True
        if self._phase.keep_batches:
            # The same batches are repeated, and only the noise on the inputs differs. The encoder's output is kept from
            # the first time, counted from the step at which this process started, so later rounds need no audio.
            has_speech = step - self._first_step < self._phase.keep_batches
            step %= self._phase.keep_batches
            rng = StepKey(self._seed, self._number, step).generator(position)
        speed = float(rng.uniform(*self._phase.augment.speed))
        if self._phase.data == "windows":
            # Composed from the utterances that fit. Their numbers are then converted to those of the whole pool.
            drawn = compose(rng, pool.durations_s[self._fitting] / speed, self._layout)
            placed = tuple(replace(p, utterance=int(self._fitting[p.utterance])) for p in drawn)
        else:
            utterance = int(self._by_length.batch(step)[position])
            speed = max(speed, float(pool.durations_s[utterance]) / material.window.length_s)  # it must fit
            n_steps = round(float(pool.durations_s[utterance]) / speed / self._layout.time_step_s)
            placed = (Placed(utterance, 0, n_steps),)
        label = timed_text(placed, pool.texts, self._layout.time_step_s)
        inputs, targets = self._sequence(noise_rng, label)
        return Sample(
            "+".join(pool.ids[p.utterance] for p in placed),
            self._augment(rng, self._speech(placed, speed)) if has_speech else _SILENT,
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
        """The decoder's inputs and targets, from a timed text."""
        timestamps = self._phase.timestamps
        request = Request(self._material.request.languages, timestamps)
        ids, n_prompt = self._material.codec.label(label if timestamps else plain(label), request)
        # Teacher forcing: the target at each place is the token after it. The last token of the prompt predicts the
        # first of the label, so only the places before it carry no loss.
        sequence = np.array(ids, dtype=np.int64)
        targets = sequence[1:].copy()
        targets[: n_prompt - 1] = IGNORED
        return with_noise(rng, sequence[:-1], n_prompt, self._words, self._phase.token_noise), targets


def with_noise(
    rng: np.random.Generator, inputs: NDArray[np.int64], n_prompt: int, words: NDArray[np.int64], share: float
) -> NDArray[np.int64]:
    """Replace a share of the words by random others, but never the prompt or the times.

    A decoder that has only read correct labels trusts its own errors at inference. With noise it learns to use the
    audio.
    """
    chosen = (rng.random(len(inputs)) < share) & np.isin(inputs, words)
    chosen[:n_prompt] = False
    return np.where(chosen, rng.choice(words, len(inputs)), inputs)


def plain(label: str) -> str:
    """A timed text without its times, with a space between its segments.

    >>> plain("<0.00>你好<1.20><2.00>so what<3.00>")
    '你好 so what'
    """
    return " ".join(strip_timestamps(label).split())


def _fitting(pool: Pool, length_s: float) -> NDArray[np.int64]:
    """The utterances that fit into a window."""
    fitting = np.flatnonzero(pool.durations_s <= length_s + 1e-9)
    if not len(fitting):
        raise K2DError(f"window_s is {length_s:g}, and every utterance of the pool is longer; increase it")
    return fitting


def render(pool: Pool, placed: Sequence[Placed], layout: Layout, speed: float = 1.0) -> Samples:
    """The audio of a composed window. An utterance that reaches beyond its end is cut."""
    speech = np.zeros(round(layout.length_s * pool.rate_hz), np.float32)
    for p in placed:
        start = round(p.start * layout.time_step_s * pool.rate_hz)
        utterance = at_speed(pool.samples(p.utterance), speed)[: len(speech) - start]
        speech[start : start + len(utterance)] = utterance
    return speech


def collate(samples: Sequence[Sample]) -> Batch:
    """Samples as one batch, padded to the longest one."""
    # Inputs are padded with zeros, the id of a real token. This does no harm: a causal decoder does not attend to later
    # places, and the padded places carry no loss.
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
    parts = {name: part for name, part in batch._asdict().items() if name != "kept_as" and part is not None}
    return [Batch(**{name: part[at : at + 1] for name, part in parts.items()}) for at in range(len(batch.ids))]


def _padded(rows: Sequence[NDArray[np.generic]], value: int) -> Tensor:
    return pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True, padding_value=value)


def _unchanged(batches: list[Batch]) -> list[Batch]:
    """A collate function for torch's loader, whose default would take the batches apart."""
    return batches


def _prepare_worker(parent: int, started_by_main_thread: bool, _worker: int) -> None:
    # A cluster signals every process of a job. The training answers with a last checkpoint, for which it still needs
    # batches, so the workers ignore signals and end when their parent does.
    end_with_parent(parent, started_by_main_thread=started_by_main_thread)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class StepLoader:
    """The steps from `first` to `last` (exclusive), in order. It measures the time spent waiting for them."""

    def __init__(self, batches: Dataset[list[Batch]], first: int, last: int, n_workers: int) -> None:
        self._loader = DataLoader(
            batches,
            batch_size=None,
            sampler=range(first, last),
            num_workers=n_workers,
            prefetch_factor=_PREFETCHED if n_workers else None,
            pin_memory=torch.cuda.is_available(),
            collate_fn=_unchanged,
            worker_init_fn=partial(_prepare_worker, os.getpid(), threading.current_thread() is threading.main_thread()),
        )
        self._n_steps = last - first
        self.waited_s = 0.0

    def __len__(self) -> int:
        return self._n_steps

    def __iter__(self) -> Iterator[list[Batch]]:
        started = time.perf_counter()
        others = set(active_children())
        batches = iter(self._loader)  # this starts the workers
        workers = set(active_children()) - others
        try:
            for batch in batches:
                self.waited_s += time.perf_counter() - started
                yield batch
                started = time.perf_counter()
        finally:
            # Deleting torch's iterator asks the workers to end and waits some seconds. Then torch sends SIGTERM, which
            # they ignore, and forgets them.
            del batches
            for worker in workers:
                worker.kill()
