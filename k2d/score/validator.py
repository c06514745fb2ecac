"""The validator study: how many of the truly bad labels a second opinion detects.

It needs the true text of recordings that otherwise have no transcripts, so it is a study, not a part of selection.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from k2d.core.errors import K2DError
from k2d.data.chunk_sources import Source
from k2d.data.rows import Utterance
from k2d.score.align import Alignment, align
from k2d.score.rates import ErrorRate
from k2d.score.scoring import Conventions
from k2d.select.chunk_row import ChunkRow
from k2d.select.metrics import METRICS
from k2d.text.tokenise import mixed_tokens

ALPHAS = tuple(tenth / 10 for tenth in range(1, 10))
FINE_ALPHAS = tuple(hundredth / 100 for hundredth in range(10, 91))
"""Thresholds in steps of 0.01. With steps of 0.1, the highest recall depends on which step still keeps half."""


@dataclass(frozen=True, slots=True)
class JudgedChunk:
    """A chunk, and the true errors in its label."""

    row: ChunkRow
    errors: ErrorRate

    def is_dropped(self, metric: str, alpha: float) -> bool:
        """Whether selection drops it. An empty label is always dropped."""
        return self.row.distances.n_a == 0 or self.row.distances[metric] > alpha

    def is_bad(self, bad_label_mer: float) -> bool:
        return is_bad_label(self.errors, bad_label_mer)


class _Said(NamedTuple):
    """An utterance of the true text. Utterances are sorted by their midpoints."""

    middle_s: float
    text: str
    start_s: float
    end_s: float


def truth_of(chunks: Iterable[tuple[str, Source]], truth: Iterable[Utterance]) -> Iterator[tuple[str, str]]:
    """Each chunk with its true text: the utterances whose midpoints lie within the chunk, in order.

    An utterance across a chunk's border belongs to the chunk with the larger part of it. Pieces that were cut out of a
    chunk do not belong to it: at least half of the utterance's part within the chunk must be left.
    """
    said: dict[str, list[_Said]] = {}
    for row in truth:
        said.setdefault(row.recording_id, []).append(_said(row))
    for rows in said.values():
        rows.sort()
    for chunk_id, source in chunks:
        rows = said.get(source.recording_id, [])
        # Sorted by their midpoints, the utterances of a chunk are neighbours. A lecture has thousands of both.
        first, last = (bisect_left(rows, (time_s,)) for time_s in (source.start_s, source.end_s))
        yield chunk_id, " ".join(row.text for row in rows[first:last] if _is_left(row, source))


def _said(row: Utterance) -> _Said:
    if row.start_s is None or row.end_s is None:
        raise K2DError(f"{row.id!r} has no times: the true text of recordings needs `segments`")
    return _Said((row.start_s + row.end_s) / 2, row.text or "", row.start_s, row.end_s)


def _is_left(row: _Said, source: Source) -> bool:
    """Whether at least half of the part between the chunk's start and end was not cut out."""
    if len(source.ranges) == 1:
        return True
    within_s = min(row.end_s, source.end_s) - max(row.start_s, source.start_s)
    left_s = sum(max(0.0, min(row.end_s, end_s) - max(row.start_s, start_s)) for start_s, end_s in source.ranges)
    return 2 * left_s >= within_s


def is_bad_label(errors: ErrorRate, bad_label_mer: float) -> bool:
    """Whether the true MER of a label is above the limit. A label for a chunk without true words is always bad."""
    # A product, not a quotient: an empty reference has no rate, but insertions are bad there, too.
    return errors.errors > bad_label_mer * errors.n


def true_alignment(truth: str, label: str, conventions: Conventions) -> Alignment:
    """A label, aligned with what was spoken."""
    ref, hyp = (mixed_tokens(conventions.normaliser(text), mode=conventions.tokens) for text in (truth, label))
    return align(ref, hyp)


def study(chunks: Sequence[JudgedChunk], bad_label_mer: float) -> dict[str, Any]:
    """The recall of bad labels and the share of the audio kept, for each metric and alpha."""
    bad = [chunk for chunk in chunks if chunk.is_bad(bad_label_mer)]
    return {
        "bad_label_mer": bad_label_mer,
        "n_chunks": len(chunks),
        "n_bad": len(bad),
        "by_metric": {metric: _curve(chunks, bad, metric) for metric in METRICS},
    }


def _curve(chunks: Sequence[JudgedChunk], bad: Sequence[JudgedChunk], metric: str) -> dict[str, Any]:
    recalls = [_recall(bad, metric, alpha) for alpha in ALPHAS]
    found = [recall for recall in recalls if recall is not None]
    # The paper does not give the grid for its maximum, so the lowest threshold in steps of 0.01 is used. With steps of
    # 0.1, a few per cent of the audio decide which step still keeps half.
    of_half = [alpha for alpha in FINE_ALPHAS if (_kept_share(chunks, metric, alpha) or 0.0) > 0.5]
    return {
        "alphas": list(ALPHAS),
        "recall": recalls,
        "kept_share": [_kept_share(chunks, metric, alpha) for alpha in ALPHAS],
        "max_recall": _recall(bad, metric, of_half[0]) if of_half else None,  # a lower alpha drops more
        "mean_recall": sum(found) / len(found) if found else None,
    }


def _recall(bad: Sequence[JudgedChunk], metric: str, alpha: float) -> float | None:
    return sum(chunk.is_dropped(metric, alpha) for chunk in bad) / len(bad) if bad else None


def _kept_share(chunks: Sequence[JudgedChunk], metric: str, alpha: float) -> float | None:
    """The share of the audio that is kept, by duration."""
    kept_s = sum(c.row.duration_s for c in chunks if not c.is_dropped(metric, alpha))
    all_s = sum(c.row.duration_s for c in chunks)
    return kept_s / all_s if all_s else None
