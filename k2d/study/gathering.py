"""Read what stages 5 to 8 have stored about the chunks of splits whose true text is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from k2d.config import Config
from k2d.core.errors import K2DError
from k2d.core.layout import Layout, shown
from k2d.data.chunk_sources import FILE as SOURCES
from k2d.data.chunk_sources import read_sources
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import read_hypotheses
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.kaldi.external_sort import read_lines
from k2d.data.kaldi.joins import split_row
from k2d.score.error_kinds import kinds_of
from k2d.score.label_errors import TRUTH_TABLES, aligned_labels
from k2d.score.scoring import Conventions
from k2d.select.chunk_reader import LOGPROBS
from k2d.select.chunk_row import ChunkRow
from k2d.select.table_files import ALIGNMENTS, DISTANCES, read_alignments, read_distances
from k2d.study.doubt import doubt_of
from k2d.study.facts import LabelFacts, StudiedChunk

_NAMED = 5  # ids in a message

Table = Mapping[str, ChunkRow]  # the distances of an auxiliary by chunk


@dataclass(frozen=True, slots=True)
class Gathered:
    """The chunks of all splits that are studied."""

    chunks: list[StudiedChunk]
    n_empty: int
    """Chunks without a word in their label. Every method drops them, so they are not judged."""


def missing(splits: Sequence[str], truths: Mapping[str, Path], config: Config, layout: Layout) -> Iterator[str]:
    """Each file that the study needs and that is not there, with what to do."""
    where = SOURCES if config.chunk.duration == "sum" else "segments"
    for split in splits:
        yield from _absent(layout.pseudo_labels(split) / HYPOTHESES, "run stage 5 (pseudo_label) first")
        for name in ("text", where):
            yield from _absent(layout.chunks(split) / name, "run stage 6 (chunk) first")
        for name in TRUTH_TABLES:
            yield from _absent(truths[split] / name, "the true text of recordings needs it")
    for auxiliary in config.auxiliaries:
        yield from _absent(
            layout.distances(auxiliary) / DISTANCES, "run stages 7 (second_opinion) and 8 (select) first"
        )


def _absent(path: Path, remedy: str) -> Iterator[str]:
    if not path.is_file():
        yield f"{shown(path)} is missing; {remedy}"


def gather(truths: Mapping[str, Path], config: Config, layout: Layout) -> Gathered:
    """The chunks of each split in `truths`, which has the data directory with its true text."""
    tables = {auxiliary: _table(layout.distances(auxiliary) / DISTANCES, truths) for auxiliary in config.auxiliaries}
    found = [chunk for split, truth in truths.items() for chunk in _chunks_of(split, truth, tables, config, layout)]
    ids = {chunk.id for chunk in found}
    for auxiliary, table in tables.items():
        if others := sorted(table.keys() - ids):
            path, named = shown(layout.distances(auxiliary) / DISTANCES), ", ".join(others[:_NAMED])
            message = f"{path}: {len(others):,} chunks are not among those of stage 6: {named}"
            raise K2DError(f"{message}; run stage 8 (select) again")
    has_words = [chunk for chunk in found if chunk.n_tokens]
    if not has_words:
        raise K2DError(f"no chunk of {', '.join(truths)} has a word in its label, so there is nothing to judge")
    return Gathered(has_words, len(found) - len(has_words))


def _table(path: Path, splits: Mapping[str, Path]) -> Table:
    return {row.id: row for row in read_distances(path) if row.split in splits}


def _chunks_of(
    split: str, truth: Path, tables: Mapping[str, Table], config: Config, layout: Layout
) -> Iterator[StudiedChunk]:
    alignments = dict(aligned_labels(split, layout.chunks(split), truth, Conventions.of(config.score)))
    for facts in _facts_about(split, tables, config, layout):
        alignment = alignments[facts.id]
        yield StudiedChunk(
            facts.id,
            facts.recording,
            facts.duration_s,
            facts.distances,
            facts.doubt,
            facts.alignments,
            alignment.counts,
            kinds_of(alignment, loops=facts.loops),
        )


def facts_about(splits: Sequence[str], config: Config, layout: Layout) -> list[LabelFacts]:
    """What is stored about each label that has words, without any truth. By split, in the order of ids."""
    named = dict.fromkeys(splits, Path())
    tables = {auxiliary: _table(layout.distances(auxiliary) / DISTANCES, named) for auxiliary in config.auxiliaries}
    return [facts for split in splits for facts in _facts_about(split, tables, config, layout) if facts.n_tokens]


def _facts_about(split: str, tables: Mapping[str, Table], config: Config, layout: Layout) -> Iterator[LabelFacts]:
    folder, normalise = layout.chunks(split), Conventions.of(config.score).normaliser
    sources = dict(read_sources(folder))
    windows = {each.recording_id: each.windows for each in read_hypotheses(layout.pseudo_labels(split) / HYPOTHESES)}
    logprobs = _logprobs(folder / LOGPROBS)
    alignments = _alignments(split, config, layout)
    for row in read_utterances(folder):
        key, source, label = f"{split}/{row.id}", sources[row.id], row.text or ""
        distances = {auxiliary: _row(key, table, auxiliary, layout).distances for auxiliary, table in tables.items()}
        n_tokens = next(iter(distances.values())).n_a
        heard = windows.get(source.recording_id, ())
        yield LabelFacts(
            id=key,
            recording=f"{split}/{source.recording_id}",
            duration_s=source.duration_s,
            distances=distances,
            doubt=doubt_of(normalise(label), n_tokens, source.ranges, heard, logprobs.get(row.id)),
            alignments={
                auxiliary: _aligned(row.id, found, auxiliary, split, layout) for auxiliary, found in alignments.items()
            },
        )


def _alignments(split: str, config: Config, layout: Layout) -> dict[str, Mapping[str, float]]:
    """The distances by alignment of each chunk, by auxiliary, where stage 7 has made them."""
    paths = {auxiliary: layout.alignments(auxiliary, split) / ALIGNMENTS for auxiliary in config.auxiliaries}
    return {
        auxiliary: {row.chunk_id: row.distance for row in read_alignments(path)}
        for auxiliary, path in paths.items()
        if path.exists()
    }


def _aligned(chunk_id: str, found: Mapping[str, float], auxiliary: str, split: str, layout: Layout) -> float:
    if chunk_id not in found:
        path = shown(layout.alignments(auxiliary, split) / ALIGNMENTS)
        raise K2DError(f"{path}: the chunk {chunk_id} is missing; run stage 7 (second_opinion) again")
    return found[chunk_id]


def _logprobs(path: Path) -> dict[str, float]:
    """The mean log-probability of each label, if the teacher gave it."""
    if not path.exists():
        return {}
    return {key: float(value) for key, value in map(split_row, read_lines(path))}


def _row(key: str, table: Table, auxiliary: str, layout: Layout) -> ChunkRow:
    if key not in table:
        path = shown(layout.distances(auxiliary) / DISTANCES)
        raise K2DError(f"{path}: the chunk {key} is missing; run stage 8 (select) again")
    return table[key]
