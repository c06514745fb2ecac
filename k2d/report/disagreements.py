"""The chunks on which two opinions differ most: both texts side by side, with differences marked and with audio."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from k2d.core.layout import Layout
from k2d.data.kaldi.datadir import Segment, parse_segment
from k2d.data.kaldi.external_sort import read_lines
from k2d.data.kaldi.joins import split_row
from k2d.report.document import Clip, Disagreement, Stretch
from k2d.report.sounds import Clips
from k2d.report.thresholds import kind_of
from k2d.select.chunk_row import ChunkRow
from k2d.select.metrics import METRICS

MAX_TOKENS = 300  # of a text that are shown; a loop may have a hundred thousand tokens

_EAST_ASIAN = "\u2e80"  # scripts from here on are written without spaces

Tokens = Callable[[str], list[str]]


def pairs(rows: Sequence[ChunkRow], auxiliary: str, layout: Layout, tokens: Tokens) -> list[Disagreement]:
    """Each chunk with both texts, and with its audio as long as the page has room."""
    clips = Clips()
    of_split: dict[str, list[ChunkRow]] = {}
    for row in rows:
        of_split.setdefault(row.split, []).append(row)
    found: dict[str, _Sources] = {}
    for split, members in of_split.items():
        found[split] = _Sources(layout, split, auxiliary, {row.chunk_id for row in members})
    return [_pair(row, found[row.split], tokens, clips) for row in rows]


def stretches(mine: Sequence[str], other: Sequence[str]) -> tuple[Stretch, ...]:
    """A text as stretches of tokens, each of which the other text contains or lacks.

    >>> [(s.text, s.is_shared) for s in stretches(["我", "用", "GPU", "跑"], ["我", "用", "CPU", "跑"])]
    [('我用', True), ('GPU', False), ('跑', True)]
    """
    opcodes = Levenshtein.opcodes(list(mine), list(other))
    spans = [(code.tag == "equal", code.src_start, code.src_end) for code in opcodes if code.src_end > code.src_start]
    found = []
    for is_shared, group in groupby(spans, itemgetter(0)):
        edges = [edge for _, *span in group for edge in span]
        found.append(Stretch(joined(mine[edges[0] : edges[-1]]), is_shared))
    return tuple(found)


def joined(tokens: Iterable[str]) -> str:
    """Tokens as they are usually written: a space only between two tokens that are not Han characters.

    >>> joined(["我", "用", "the", "GPU", "跑"])
    '我用 the GPU 跑'
    """
    text = ""
    for token in tokens:
        unspaced = not text or (text[-1] >= _EAST_ASIAN and token[:1] >= _EAST_ASIAN)
        text += token if unspaced else f" {token}"
    return text


class _Sources:
    """The lines of two data directories that belong to the given chunks of a split."""

    def __init__(self, layout: Layout, split: str, auxiliary: str, ids: set[str]) -> None:
        chunks = layout.chunks(split)
        self.teacher = wanted(chunks / "text", ids)
        self.auxiliary = wanted(layout.opinions(auxiliary, split) / "text", ids)
        spans = {key: parse_segment(value) for key, value in wanted(chunks / "segments", ids).items()}
        self.spans = {key: span for key, span in spans.items() if span is not None}
        self.audio = wanted(chunks / "wav.scp", {span.recording_id for span in self.spans.values()} | ids)

    def span(self, key: str) -> tuple[str, Segment | None]:
        """The recording of a chunk and its place there. Without segments, the chunk is the whole recording."""
        span = self.spans.get(key)
        return self.audio.get(key if span is None else span.recording_id, ""), span


def wanted(path: Path, ids: set[str]) -> dict[str, str]:
    """The values of the given ids in a table. Empty if the table does not exist."""
    if not path.is_file():
        return {}
    return {key: value for key, value in map(split_row, read_lines(path)) if key in ids}


def _pair(row: ChunkRow, sources: _Sources, tokens: Tokens, clips: Clips) -> Disagreement:
    key = row.chunk_id
    said = ("teacher", sources.teacher), ("auxiliary", sources.auxiliary)
    teacher, auxiliary = (tokens(text.get(key, "")) for _, text in said)
    parts = [f"{row.duration_s:.1f} s", kind_of(row)]
    parts += [f"{METRICS[metric].title} {far:.2f}" for metric, far in row.distances.by_metric.items()]
    parts += [f"{who}'s text is missing" for who, text in said if key not in text]
    parts += [f"first {MAX_TOKENS} of {len(t):,} tokens" for t in (teacher, auxiliary) if len(t) > MAX_TOKENS]
    teacher, auxiliary = (list(islice(text, MAX_TOKENS)) for text in (teacher, auxiliary))
    return Disagreement(
        row.id,
        " · ".join(parts),
        stretches(teacher, auxiliary),
        stretches(auxiliary, teacher),
        _clip(key, sources, clips),
    )


def _clip(key: str, sources: _Sources, clips: Clips) -> Clip:
    audio, span = sources.span(key)
    if not audio:
        return Clip(why_not="its chunk directory has no audio for it")
    return clips.cut(audio, None if span is None else (span.start_s, span.end_s))
