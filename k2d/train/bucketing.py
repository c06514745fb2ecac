"""Batches of utterances of similar length, to reduce padding. A step's batch does not depend on earlier steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_BATCHES_PER_BUCKET = 20  # sorted by length together: enough for little padding, few enough to stay mixed
_EPOCHS_KEPT = 2

Numbers = NDArray[np.int64]


class _Epoch(NamedTuple):
    """A random order of all utterances, and a random order of the batches cut from it."""

    shuffled: NDArray[np.int32]
    batches: NDArray[np.int64]


class LengthBatches:
    """An endless sequence of batches. Within an epoch, no utterance occurs twice.

    An epoch takes four bytes per utterance: a bucket is sorted only when one of its batches is needed.
    """

    def __init__(self, lengths: NDArray[np.integer[Any]], batch_size: int, key: tuple[int, ...]) -> None:
        self._lengths, self._size, self._key = lengths, min(batch_size, len(lengths)), key
        self.n_per_epoch = len(lengths) // self._size
        self._epochs: dict[int, _Epoch] = {}
        self._bucket: tuple[tuple[int, int], Numbers] | None = None

    def batch(self, step: int) -> Numbers:
        """The numbers of the utterances of one step."""
        number, place = divmod(step, self.n_per_epoch)
        bucket, batch = divmod(int(self._epoch(number).batches[place]), _BATCHES_PER_BUCKET)
        return self._sorted_bucket(number, bucket)[batch * self._size : (batch + 1) * self._size]

    def _sorted_bucket(self, epoch: int, bucket: int) -> Numbers:
        """The utterances of a bucket by length. The last bucket is kept, because a step is often requested twice."""
        if self._bucket is None or self._bucket[0] != (epoch, bucket):
            n = _BATCHES_PER_BUCKET * self._size
            numbers = self._epoch(epoch).shuffled[bucket * n : (bucket + 1) * n].astype(np.int64)
            self._bucket = (epoch, bucket), numbers[np.argsort(self._lengths[numbers], kind="stable")]
        return self._bucket[1]

    def _epoch(self, number: int) -> _Epoch:
        """Shuffle the utterances, cut them into batches, and shuffle the batches. An epoch leaves the rest out."""
        if number not in self._epochs:
            while len(self._epochs) >= _EPOCHS_KEPT:
                del self._epochs[next(iter(self._epochs))]
            rng = np.random.default_rng((*self._key, number))
            shuffled = np.arange(len(self._lengths), dtype=np.int32)
            rng.shuffle(shuffled)
            whole = shuffled[: self.n_per_epoch * self._size]
            self._epochs[number] = _Epoch(whole, rng.permutation(self.n_per_epoch))
        return self._epochs[number]
