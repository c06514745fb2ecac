"""Stage 7: each auxiliary says what it hears in each chunk, as plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
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
from k2d.inference.output import DecodingTally, decoding_record, finish_folder, write_record, write_timing
from k2d.pipeline.job import Counts, Job, Unit

VERSION = DECODER_VERSION


@dataclass(frozen=True, slots=True)
class Opinions:
    """An auxiliary's hypotheses for the chunks of a split."""

    auxiliary: str
    split: str
    work: DecodeJob

    @property
    def settings(self) -> dict[str, Any]:
        return {"auxiliary": self.auxiliary, "split": self.split, **decode_settings(self.work)}


def units(job: Job) -> list[Unit[Opinions]]:
    """An auxiliary on the chunks of a split is a unit."""
    splits = job.config.corpora.unlabelled
    return [_unit(auxiliary, split, job) for auxiliary in job.config.auxiliaries for split in splits]


def _unit(auxiliary: str, split: str, job: Job) -> Unit[Opinions]:
    recogniser = job.config.auxiliaries[auxiliary]
    work = plan_decoding(auxiliary, recogniser, job, clips=True, timestamps=False, mode=recogniser.decode)
    output, inputs = job.layout.opinions(auxiliary, split), (work.model, job.layout.chunks(split))
    return Unit(output, Opinions(auxiliary, split, work), inputs)


def make(unit: Unit[Opinions], job: Job, folder: Path) -> Counts:
    """Decode every chunk of a split once by one auxiliary. One that cannot be heard has an empty opinion."""
    work = unit.content.work
    cache, tally = cache_of(unit, job), DecodingTally()
    items = chunk_items(job.layout.chunks(unit.content.split), tally)
    with (
        (folder / HYPOTHESES).open("w", encoding="utf-8", newline="\n") as hypotheses,
        (folder / TEXT).open("w", encoding="utf-8", newline="\n") as texts,
    ):
        for answer in decode_items(work, items, cache, job, f"{work.model.name}: second opinions"):
            tally.n_in += 1
            tally.seconds += answer.seconds
            heard = answer.heard or {}
            if answer.failed is not None:
                tally.rejected.append(answer.failed)
            else:
                _count(heard, tally)
                hypotheses.write(json.dumps(heard, ensure_ascii=False) + "\n")
            texts.write(f"{joined_row(answer.id, one_line(heard.get('text', '')))}\n")
    record = decoding_record(work, model_facts(cache), job)
    write_record(folder, {**record, "decode": work.options["mode"], "note": _note(work), **tally.as_json()})
    write_timing(folder, tally, record)
    return finish_folder(folder, tally, cache, job, "chunks")


def chunk_items(folder: Path, tally: DecodingTally) -> Iterator[Item]:
    """The chunks of a directory, one by one, with their lengths added up in the tally."""
    for row, (_, source) in zip(read_utterances(folder), read_sources(folder), strict=True):
        item = Item(row.id, row.audio, row.start_s, row.end_s, source.duration_s)
        tally.audio_s += item.length_s
        yield item


def _count(heard: Mapping[str, Any], tally: DecodingTally) -> None:
    tally.n_tokens += heard["n_tokens"]
    tally.ended[heard["ended"]] += 1


def _note(work: DecodeJob) -> str:
    if work.options["mode"] == "ctc":
        return "a CTC decoder never loops: the composite rule is blind on this side"
    return ""
