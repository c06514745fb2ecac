"""Stage 7: decode each chunk with each auxiliary, as plain text, or take texts that were made elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.data.chunk_sources import read_sources
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import TEXT, one_line
from k2d.data.kaldi.datadir import read_utterances
from k2d.data.kaldi.joins import joined_row
from k2d.inference.answer_cache import cache_of, model_facts
from k2d.inference.decode_job import VERSION as DECODER_VERSION
from k2d.inference.decode_job import DecodeJob, Item, decode_settings, plan_decoding
from k2d.inference.dispatch import decode_items
from k2d.inference.external import ELSEWHERE, take_opinions
from k2d.inference.hypothesis_folder import DecodingTally, decoding_record, finish_folder, write_record, write_timing
from k2d.pipeline.external_files import external_file
from k2d.pipeline.job import Counts, Job, Unit

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


def units(job: Job) -> list[Unit[Opinions | ExternalOpinions]]:
    """Each auxiliary on the chunks of each split is a unit."""
    splits = job.config.corpora.unlabelled
    return [_unit(auxiliary, split, job) for auxiliary in job.config.auxiliaries for split in splits]


def _unit(auxiliary: str, split: str, job: Job) -> Unit[Opinions | ExternalOpinions]:
    recogniser = job.config.auxiliaries[auxiliary]
    output, chunks = job.layout.opinions(auxiliary, split), job.layout.chunks(split)
    if recogniser.from_ is not None:
        file = external_file(f"auxiliaries.{auxiliary}.from", recogniser.from_, split)
        return Unit(output, ExternalOpinions(auxiliary, split, file), (file, chunks))
    decode_job = plan_decoding(auxiliary, recogniser, job, clips=True, timestamps=False, mode=recogniser.decode)
    return Unit(output, Opinions(auxiliary, split, decode_job), (decode_job.model, chunks))


def make(unit: Unit[Opinions | ExternalOpinions], job: Job, folder: Path) -> Counts:
    """Have the texts of one auxiliary for every chunk of a split."""
    content, chunks = unit.content, job.layout.chunks(unit.content.split)
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


def chunk_items(folder: Path, tally: DecodingTally) -> Iterator[Item]:
    """The chunks of a directory, one by one. Their lengths are added to the tally."""
    for row, (_, source) in zip(read_utterances(folder), read_sources(folder), strict=True):
        item = Item(row.id, row.audio, row.start_s, row.end_s, source.duration_s)
        tally.audio_s += item.length_s
        yield item
