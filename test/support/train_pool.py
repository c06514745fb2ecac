"""A pool made by hand, of tones at a thousand samples a second."""

from __future__ import annotations

import numpy as np

from k2d.train.pool import Pool, PoolIndex

RATE_HZ = 1000


def make_pool(texts=("abc", "de 你好", "fgh", "a b", "你好"), durations_s=(0.5, 0.9, 0.4, 0.35, 0.62)):
    """Tones, one per utterance."""
    counts = [round(duration * RATE_HZ) for duration in durations_s]
    tones = [np.sin(np.arange(n) * (0.1 + 0.2 * k)) * 8000 for k, n in enumerate(counts)]
    ids = [f"u{k}" for k in range(len(texts))]
    index = PoolIndex({"made": "by hand"}, ids, list(texts), counts, {})
    return Pool(index, np.concatenate(tones).astype(np.int16), RATE_HZ)
