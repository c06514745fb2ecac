"""Stage 7: decode each chunk with each auxiliary, as plain text, or take texts that were made elsewhere.

If the config asks for it, an auxiliary with a CTC head also aligns each chunk with its label.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2d.data.chunk_sources import read_sources
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import TEXT, one_line
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.kaldi.joins import joined_row
from k2d.inference.answer_cache import cache_of, model_facts
from k2d.inference.decode_job import VERSION as DECODER_VERSION
from k2d.inference.decode_job import DecodeJob, Item, decode_settings, plan_alignment, plan_decoding
from k2d.inference.dispatch import decode_items
from k2d.inference.external import ELSEWHERE, take_opinions
from k2d.inference.hypothesis_folder import DecodingTally, decoding_record, finish_folder, write_record, write_timing
from k2d.pipeline.external_files import external_file
from k2d.pipeline.job import Counts, Job, Unit
from k2d.select.chunk_row import AlignmentRow
from k2d.select.table_files import ALIGNMENTS, write_alignments
from k2d.text.normalise import Normaliser
from k2d.text.timestamps import strip_timestamps

VERSION = DECODER_VERSION


@dataclass(frozen=True, slots=True)
class Opinions:
    """An auxiliary's hypotheses for the chunks of a split."""

    auxiliary: str
    split: str
    decode_job: DecodeJob

    @property
    def settings(self) -> dict[str, Any]:
        return {"auxiliary": self.auxiliary, "split": self.split, **decode_settings(self.decode_job)}


@dataclass(frozen=True, slots=True)
class ExternalOpinions:
    """Another system's texts for the chunks of a split."""

    auxiliary: str
    split: str
    file: Path

    @property
    def settings(self) -> dict[str, Any]:
        return {"auxiliary": self.auxiliary, "split": self.split, "opinions": ELSEWHERE}


@dataclass(frozen=True, slots=True)
class Alignments:
    """The alignments of a split's labels by an auxiliary's CTC head."""

    auxiliary: str
    split: str
    decode_job: DecodeJob
    script: str
    steps: tuple[str, ...]
    """How labels are normalised, as for the distances."""

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "auxiliary": self.auxiliary,
            "split": self.split,
            "labels": self.normaliser.signature,
            **decode_settings(self.decode_job),
        }

    @property
    def normaliser(self) -> Normaliser:
        return Normaliser(script=self.script, steps=self.steps)  # type: ignore[arg-type]


Content = Opinions | ExternalOpinions | Alignments


def units(job: Job) -> list[Unit[Content]]:
    """Each auxiliary on the chunks of each split is a unit; alignments are further ones."""
    splits, auxiliaries = job.config.corpora.unlabelled, job.config.auxiliaries
    opinions = [_unit(auxiliary, split, job) for auxiliary in auxiliaries for split in splits]
    aligning = [name for name, auxiliary in auxiliaries.items() if auxiliary.alignment]
    return [*opinions, *(_alignment_unit(auxiliary, split, job) for auxiliary in aligning for split in splits)]


def _unit(auxiliary: str, split: str, job: Job) -> Unit[Content]:
    recogniser = job.config.auxiliaries[auxiliary]
    output, chunks = job.layout.opinions(auxiliary, split), job.layout.chunks(split)
    if recogniser.from_ is not None:
        file = external_file(f"auxiliaries.{auxiliary}.from", recogniser.from_, split)
        return Unit(output, ExternalOpinions(auxiliary, split, file), (file, chunks))
    decode_job = plan_decoding(auxiliary, recogniser, job, clips=True, timestamps=False, mode=recogniser.decode)
    decode_job = replace(decode_job, speed=recogniser.speed)
    return Unit(output, Opinions(auxiliary, split, decode_job), (decode_job.model, chunks))


def _alignment_unit(auxiliary: str, split: str, job: Job) -> Unit[Content]:
    select, decode_job = job.config.select, plan_alignment(auxiliary, job.config.auxiliaries[auxiliary], job)
    content = Alignments(auxiliary, split, decode_job, select.script, select.steps)
    return Unit(job.layout.alignments(auxiliary, split), content, (decode_job.model, job.layout.chunks(split)))


def make(unit: Unit[Content], job: Job, folder: Path) -> Counts:
    """Have the texts of one auxiliary for every chunk of a split, or its alignments of the labels."""
    content, chunks = unit.content, job.layout.chunks(unit.content.split)
    if isinstance(content, Alignments):
        return _align(content, chunks, cache_of(unit, job), job, folder)
    if isinstance(content, ExternalOpinions):
        ids = (row.id for row in read_utterances(chunks))
        return take_opinions(content.file, ids, content.auxiliary, job, folder)
    return _decode(content.decode_job, chunks, cache_of(unit, job), job, folder)


def _decode(decode_job: DecodeJob, chunks: Path, cache: Path, job: Job, folder: Path) -> Counts:
    """Decode every chunk once. A chunk that cannot be read has an empty opinion."""
    tally = DecodingTally()
    items = chunk_items(chunks, tally)
    with (
        (folder / HYPOTHESES).open("w", encoding="utf-8", newline="\n") as hypotheses,
        (folder / TEXT).open("w", encoding="utf-8", newline="\n") as texts,
    ):
        for answer in decode_items(decode_job, items, cache, job, f"{decode_job.model.name}: second opinions"):
            tally.n_in += 1
            tally.seconds += answer.seconds
            hypothesis = answer.hypothesis or {}
            if answer.failed is not None:
                tally.rejected.append(answer.failed)
            else:
                tally.n_tokens += hypothesis["n_tokens"]
                tally.ended[hypothesis["ended"]] += 1
                hypotheses.write(json.dumps(hypothesis, ensure_ascii=False) + "\n")
            texts.write(f"{joined_row(answer.id, one_line(hypothesis.get('text', '')))}\n")
    record = decoding_record(decode_job, model_facts(cache), job)
    mode = decode_job.options["mode"]
    note = "a CTC decoder never loops: the composite rule is blind on this side" if mode == "ctc" else ""
    write_record(folder, {**record, "decode": mode, "note": note, **tally.as_json()})
    write_timing(folder, tally, record)
    return finish_folder(folder, tally, cache, job, "chunks")


def _align(asked: Alignments, chunks: Path, cache: Path, job: Job, folder: Path) -> Counts:
    """Align every label once. If a chunk cannot be read, nothing speaks for its label."""
    tally, decode_job = DecodingTally(), asked.decode_job
    items = chunk_items(chunks, tally, asked.normaliser)

    def rows() -> Iterator[AlignmentRow]:
        for answer in decode_items(decode_job, items, cache, job, f"{asked.auxiliary}: alignments"):
            tally.n_in += 1
            tally.seconds += answer.seconds
            if answer.failed is not None:
                tally.rejected.append(answer.failed)
            found = answer.hypothesis or {}
            tally.n_tokens += found.get("n_tokens", 0)
            yield AlignmentRow(answer.id, found.get("distance", 1.0), found.get("logprob"), found.get("own_logprob"))

    write_alignments(folder / ALIGNMENTS, rows())
    record = decoding_record(decode_job, model_facts(cache), job)
    write_record(folder, {**record, "labels": asked.normaliser.signature, **tally.as_json()})
    write_timing(folder, tally, record)
    return finish_folder(folder, tally, cache, job, "chunks")


def chunk_items(folder: Path, tally: DecodingTally, normalise: Normaliser | None = None) -> Iterator[Item]:
    """The chunks of a directory, one by one, with their labels if `normalise` is given. The tally adds up lengths."""
    for row, (_, source) in zip(read_utterances(folder), read_sources(folder), strict=True):
        label = normalise(strip_timestamps(row.text or "").strip()) if normalise else ""
        item = Item(row.id, row.audio, row.start_s, row.end_s, source.duration_s, label)
        tally.audio_s += item.length_s
        yield item
