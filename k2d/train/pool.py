"""The labelled utterances with all of their audio in one memory-mapped file, written once and shared by processes."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.errors import K2DError
from k2d.core.layout import shown
from k2d.core.lock import taking_turns
from k2d.core.progress import track
from k2d.core.stamp import fingerprint
from k2d.data.audio import read, resolve
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.rows import Utterance

Samples = NDArray[np.float32]

AUDIO, INDEX = "audio.int16", "index.json"
VERSION = 1  # raise it by hand if the same data would give other samples
_FULL_SCALE = 32768  # of 16-bit audio


@dataclass(frozen=True, slots=True)
class PoolIndex:
    """The contents of the audio file, and the inputs that it was made from."""

    made_from: Mapping[str, object]
    ids: Sequence[str]
    texts: Sequence[str]
    n_samples: Sequence[int]
    dropped: Mapping[str, int]
    """The number of utterances that were left out, by reason."""


class Pool:
    """Labelled utterances by number."""

    def __init__(self, index: PoolIndex, audio: NDArray[np.int16], rate_hz: int) -> None:
        self.ids, self.texts, self.rate_hz = index.ids, index.texts, rate_hz
        self.made_from, self.dropped = index.made_from, index.dropped
        self.n_samples = np.asarray(index.n_samples, dtype=np.int64)
        self.durations_s = self.n_samples / rate_hz
        self._audio = audio
        self._ends = np.cumsum(self.n_samples)
        assert len(audio) == self.n_samples.sum(), f"{len(audio)} samples, {self.n_samples.sum()} in the index"

    def __len__(self) -> int:
        return len(self.ids)

    def samples(self, utterance: int) -> Samples:
        """The audio of an utterance, in -1…1."""
        end = int(self._ends[utterance])
        return self._scaled(end - int(self.n_samples[utterance]), end)

    def anywhere(self, rng: np.random.Generator, n_samples: int) -> Samples:
        """A random stretch of speech, across utterances, to be used as background voices."""
        start = int(rng.integers(max(1, len(self._audio) - n_samples + 1)))
        found = self._scaled(start, start + n_samples)
        return np.pad(found, (0, n_samples - len(found)))

    def _scaled(self, start: int, end: int) -> Samples:
        scaled: Samples = np.multiply(self._audio[start:end], np.float32(1 / _FULL_SCALE), dtype=np.float32)
        return scaled


def open_pool(folders: Sequence[Path], cache: Path, *, rate_hz: int, max_s: float) -> Pool:
    """The utterances of data directories, by id. Their audio is read unless `cache` has it.

    Of processes that start together, one reads it and the others wait.
    """
    made_from = {
        "version": VERSION,
        "folders": {shown(folder): fingerprint(folder) for folder in folders},
        "rate_hz": rate_hz,
        "max_s": max_s,
    }
    with taking_turns(cache):
        index = _stored_index(cache)
        if index is None or index.made_from != made_from:
            index = _make(folders, cache, made_from, rate_hz, max_s)
        return Pool(index, np.memmap(cache / AUDIO, dtype=np.int16, mode="r"), rate_hz)


def _stored_index(cache: Path) -> PoolIndex | None:
    """The index of a complete cache."""
    if not (cache / INDEX).is_file() or not (cache / AUDIO).is_file():
        return None
    index = PoolIndex(**json.loads((cache / INDEX).read_text(encoding="utf-8")))
    return index if (cache / AUDIO).stat().st_size == 2 * sum(index.n_samples) else None


def _make(
    folders: Sequence[Path], cache: Path, made_from: Mapping[str, object], rate_hz: int, max_s: float
) -> PoolIndex:
    partial = new_partial_folder(cache)
    rows = list(heapq.merge(*map(read_utterances, folders), key=lambda row: row.id))
    _refuse_doubles(rows, folders)
    kept: list[tuple[Utterance, int]] = []
    dropped: Counter[str] = Counter()
    with (partial / AUDIO).open("wb") as file:
        for row in track(rows, "reading the pool's audio", unit="utterances"):
            if not (row.text or "").strip():
                dropped["empty_text"] += 1
                continue
            audio = read(resolve(row.audio), row.start_s, row.end_s, rate_hz=rate_hz)
            if len(audio) > round(max_s * rate_hz):
                dropped["too_long"] += 1
                continue
            scaled = np.clip(np.rint(audio * _FULL_SCALE), -_FULL_SCALE, _FULL_SCALE - 1)
            file.write(scaled.astype(np.int16).tobytes())
            kept.append((row, len(audio)))
    if not kept:
        places = ", ".join(map(shown, folders))
        raise K2DError(
            f"{places}: no utterance with a text of at most {max_s:g} s to train on, {dict(dropped)} left out"
        )
    index = PoolIndex(
        made_from, [row.id for row, _ in kept], [row.text or "" for row, _ in kept], [n for _, n in kept], dict(dropped)
    )
    (partial / INDEX).write_text(json.dumps(asdict(index), ensure_ascii=False), encoding="utf-8")
    publish_folder(partial, cache)
    return index


def _refuse_doubles(rows: Sequence[Utterance], folders: Sequence[Path]) -> None:
    for one, other in pairwise(rows):
        if one.id == other.id:
            places = ", ".join(map(shown, folders))
            raise K2DError(f"{places}: utterance {one.id!r} is in two of them; train on each utterance once")
