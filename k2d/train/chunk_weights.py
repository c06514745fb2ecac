"""The weight of each chunk's loss: how little its label differs from the second opinion."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from k2d.core.errors import K2DError
from k2d.train.chunk_table import ChunkTable


def weights_of(table: ChunkTable, distances: Iterable[tuple[str, float]], where: str) -> NDArray[np.float32]:
    """One minus the distance of each chunk, over the mean of all. By number, as the table has the chunks.

    `distances` has all kept chunks in the table's order, with held-out ones among them. With a mean of 1, the loss and
    the learning rate mean the same as without weights.
    """
    known = iter(distances)
    weights_N = np.empty(len(table), np.float32)
    for number in range(len(table)):
        chunk_id = table.id_of(number)
        distance = next((far for key, far in known if key == chunk_id), None)
        if distance is None:
            raise K2DError(f"{where}: found no decision on the chunk {chunk_id}; run stage 8 (select) again")
        weights_N[number] = 1 - min(distance, 1.0)
    if not weights_N.any():
        raise K2DError(
            f"{where}: all {len(table):,} chunks have a distance of 1, so all of their weights are 0; "
            "choose another rule, or leave the method's weight out"
        )
    mean = float(weights_N.mean(dtype=np.float64))
    return (weights_N / mean).astype(np.float32)
