"""The part of the vocabulary that a student is trained on: the tokens in use, and a sample of the others.

A softmax over some tokens compares only these. It does not change if one of the other tokens becomes more likely, and
at a temperature above 1 the other tokens can have most of the probability. Therefore a sample of them is used as well.
Each sampled token has the weight of all tokens that it represents, so that the expected denominator of the softmax is
that of the whole vocabulary (sampled softmax with correction: Jean et al., 2015).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2d.core.errors import K2DError
from k2d.models.codec import Codec
from k2d.train.chunk_table import ChunkTable


@dataclass(frozen=True, slots=True)
class VocabularyInUse:
    """The tokens that a training uses."""

    ids_K: NDArray[np.int64]
    """Ascending."""
    n_tokens: int
    """The number of tokens in the whole vocabulary."""
    n_of_labels: int
    """Tokens of texts in training labels, previous texts and labels of held-out recordings."""
    n_special: int
    """Control tokens, languages and timestamps, including those that are in no label."""
    is_sampled_K: NDArray[np.bool_]
    """Marks the tokens that were drawn from all tokens that are in no label."""

    @property
    def n_sampled(self) -> int:
        return int(self.is_sampled_K.sum())

    @property
    def log_counts_K(self) -> NDArray[np.float32]:
        """The logarithm of the number of tokens that each token represents: 0 except for sampled tokens."""
        n_others = self.n_tokens - self.n_of_labels - self.n_special
        per_sampled = math.log(n_others / self.n_sampled) if self.n_sampled else 0.0
        return np.where(self.is_sampled_K, per_sampled, 0.0).astype(np.float32)

    def record(self) -> dict[str, Any]:
        """The entry in a model's record."""
        return {
            "tokens": self.n_tokens,
            "in_use": len(self.ids_K),
            "of_labels": self.n_of_labels,
            "special": self.n_special,
            "sampled": self.n_sampled,
            "sha256": hashlib.sha256(self.ids_K.astype("<i8").tobytes()).hexdigest(),
        }

    def __str__(self) -> str:
        return (
            f"training on {len(self.ids_K):,} of {self.n_tokens:,} tokens: {self.n_of_labels:,} of the labels, "
            f"{self.n_special:,} control and time tokens, {self.n_sampled:,} sampled"
        )

    def check(self, ids_L: NDArray[np.int64], chunk: str) -> None:
        """Raise if a chunk has an unused token. Ids after the vocabulary, which represent several, are accepted."""
        place_L = np.searchsorted(self.ids_K, ids_L).clip(max=len(self.ids_K) - 1)
        unused_L = (self.ids_K[place_L] != ids_L) & (ids_L < self.n_tokens)
        if unused_L.any():
            raise K2DError(
                f"chunk {chunk!r}: token {int(ids_L[unused_L][0])} is not among the {len(self.ids_K):,} tokens of the "
                "training, although all labels were counted (distill.vocabulary: in_use); the labels have changed "
                "since the training began: run the command again"
            )


def vocabulary_in_use(
    chunks: ChunkTable,
    codec: Codec,
    held_out_texts: Iterable[str],
    *,
    has_previous_text: bool,
    n_sampled: int,
    seed: int,
) -> VocabularyInUse:
    """Choose the tokens of all labels, all control and time tokens, and a sample of the others.

    The choice depends only on the labels and the seed, so it is the same in each process and in a resumed training.
    """
    is_in_use_V = np.zeros(codec.n_tokens, bool)
    for ids in chunks.label_ids():
        is_in_use_V[ids] = True
    for text in held_out_texts:
        is_in_use_V[codec.ids(text)] = True
    if has_previous_text:  # it can end within a label, and its last words can then have other tokens
        for number in range(len(chunks)):
            is_in_use_V[chunks.ids_before(number, codec)] = True
    special = list(codec.special_ids)
    is_in_use_V[special] = False
    n_of_labels = int(is_in_use_V.sum())
    is_in_use_V[special] = True
    sampled = _sample(np.flatnonzero(~is_in_use_V), n_sampled, seed)
    is_in_use_V[sampled] = True
    ids_K = np.flatnonzero(is_in_use_V).astype(np.int64)
    return VocabularyInUse(ids_K, codec.n_tokens, n_of_labels, len(special), np.isin(ids_K, sampled))


def _sample(others: NDArray[np.intp], n_sampled: int, seed: int) -> Sequence[int]:
    """Draw from the other tokens, each with the same probability. A larger sample contains the smaller one."""
    drawn: list[int] = np.random.default_rng(seed).permutation(others)[:n_sampled].tolist()
    return drawn
