"""Batches of utterances of like length, so that little is padding. A step's batch depends on nothing before it."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_BATCHES_PER_BUCKET = 20  # sorted by length among themselves: enough for little padding, few enough to stay mixed

Numbers = NDArray[np.int64]


class LengthBatches:
    """An endless sequence of batches; within an epoch no utterance comes twice."""

    def __init__(self, lengths: Numbers, batch_size: int, key: tuple[int, ...]) -> None:
        self._lengths, self._size, self._key = lengths, min(batch_size, len(lengths)), key
        self.n_per_epoch = len(lengths) // self._size
        self._epoch = lru_cache(maxsize=2)(self._make_epoch)

    def batch(self, step: int) -> Numbers:
        """The numbers of the utterances of one step."""
        epoch, place = divmod(step, self.n_per_epoch)
        return self._epoch(epoch)[place]

    def _make_epoch(self, epoch: int) -> list[Numbers]:
        """Shuffle, sort within buckets, cut, shuffle the batches. The few that remain come in other epochs."""
        rng = np.random.default_rng((*self._key, epoch))
        order = rng.permutation(len(self._lengths))[: self.n_per_epoch * self._size]
        batches: list[Numbers] = []
        for start in range(0, len(order), _BATCHES_PER_BUCKET * self._size):
            bucket = order[start : start + _BATCHES_PER_BUCKET * self._size]
            by_length = bucket[np.argsort(self._lengths[bucket], kind="stable")]
            batches += np.split(by_length, len(by_length) // self._size)
        return [batches[place] for place in rng.permutation(len(batches))]
