"""The counts of stage 6: segments and chunks, summed over recordings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from k2d.data.chunk_audio import Labelled
from k2d.data.chunks import Chunk

N_BINS = 10


@dataclass
class Tally:
    """Counts over the recordings of a split."""

    max_s: float
    n_recordings: int = 0
    n_with_chunks: int = 0
    n_segments: int = 0
    n_kept: int = 0
    n_moved: int = 0
    n_chunks: int = 0
    n_loops: int = 0
    n_continued: int = 0
    duration_s: float = 0.0
    bins: Counter[int] = field(default_factory=Counter)

    def add(self, labelled: Labelled) -> None:
        packed = labelled.packed
        self.n_recordings += 1
        self.n_with_chunks += bool(packed.chunks)
        self.n_segments += len(labelled.hypothesis.segments)
        self.n_moved += packed.n_moved
        for chunk in packed.chunks:
            self._add_chunk(chunk)

    def _add_chunk(self, chunk: Chunk) -> None:
        self.n_chunks += 1
        self.n_kept += chunk.n_segments
        self.n_loops += chunk.loop
        self.n_continued += chunk.continued
        self.duration_s += chunk.duration_s
        self.bins[min(N_BINS - 1, int(N_BINS * chunk.duration_s / self.max_s))] += 1

    def __str__(self) -> str:
        mean_s = self.duration_s / self.n_chunks if self.n_chunks else 0.0
        return f"{self.n_chunks:,} chunks, {self.duration_s / 3600:.2f} h, {mean_s:.1f} s on average"

    def as_json(self) -> dict[str, Any]:
        width_s = self.max_s / N_BINS
        return {
            "recordings": {"in": self.n_recordings, "with_chunks": self.n_with_chunks},
            "segments": {"in": self.n_segments, "kept": self.n_kept, "moved": self.n_moved},
            "chunks": {
                "n": self.n_chunks,
                "hours": round(self.duration_s / 3600, 6),
                "with_loop": self.n_loops,
                "continued": self.n_continued,
            },
            "chunks_by_length": {f"from {n * width_s:g} s": self.bins[n] for n in range(N_BINS)},
        }
