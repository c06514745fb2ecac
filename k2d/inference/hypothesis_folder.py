"""Writes the output folder of decoding in stages 5, 7 and 11: hyp.jsonl, a Kaldi `text`, rejected.jsonl, a record."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text
from k2d.core.layout import RECORD
from k2d.data.hypotheses import FILE as HYPOTHESES
from k2d.data.hypotheses import TEXT, hypothesis_from, hypothesis_line, plain_text
from k2d.data.kaldi.joins import joined_row
from k2d.data.rows import Hypothesis, Recording, Rejected
from k2d.inference.answer_cache import Answer, model_facts
from k2d.inference.decode_job import DecodeJob, Item
from k2d.inference.dispatch import decode_items
from k2d.pipeline.job import Counts, Job
from k2d.pipeline.rejected_items import check_bad, write_rejected
from k2d.score.timing import TIMING


@dataclass
class DecodingTally:
    """The counts of decoding a set."""

    n_in: int = 0
    seconds: float = 0.0
    audio_s: float = 0.0
    n_tokens: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    moved_by: Counter[str] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, hypothesis: Hypothesis) -> None:
        self.audio_s += hypothesis.duration_s
        for window in hypothesis.windows:
            self.n_tokens += window.n_tokens
            self.ended[window.ended] += 1
            self.moved_by[window.moved_by] += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "audio_s": round(self.audio_s, 3),
            "work_s": round(self.seconds, 3),
            "n_windows": self.ended.total(),
            "n_tokens": self.n_tokens,
            "windows_ended": dict(sorted(self.ended.items())),
            "windows_moved_by": dict(sorted(self.moved_by.items())),
        }


def decode_to_folder(
    recordings: Iterable[Recording], decode_job: DecodeJob, cache: Path, job: Job, folder: Path
) -> Counts:
    """Decode whole recordings and write their hypotheses. Recordings that cannot be read are rejected."""
    items = [Item(row.id, row.audio, duration_s=row.duration_s) for row in recordings]
    tally = DecodingTally()
    answers = decode_items(decode_job, items, cache, job, f"{folder.parent.name}/{output_name(folder)}")
    with (
        (folder / HYPOTHESES).open("w", encoding="utf-8", newline="\n") as hypotheses,
        (folder / TEXT).open("w", encoding="utf-8", newline="\n") as texts,
    ):
        for hypothesis in _hypotheses(answers, tally):
            hypotheses.write(f"{hypothesis_line(hypothesis)}\n")
            texts.write(f"{joined_row(hypothesis.recording_id, plain_text(hypothesis))}\n")
    facts = model_facts(cache)
    write_record(folder, {**decoding_record(decode_job, facts, job), **tally.as_json()})
    return finish_folder(folder, tally, cache, job, "recordings")


def _hypotheses(answers: Iterable[Answer], tally: DecodingTally) -> Iterator[Hypothesis]:
    for answer in answers:
        tally.n_in += 1
        tally.seconds += answer.seconds
        if answer.hypothesis is None:
            assert answer.failed is not None
            tally.rejected.append(answer.failed)
            continue
        hypothesis = hypothesis_from(answer.hypothesis)
        tally.add(hypothesis)
        yield hypothesis


def output_name(folder: Path) -> str:
    """The final name of a folder that is being made."""
    return folder.name.lstrip(".").removesuffix(".partial")


def decoding_record(decode_job: DecodeJob, facts: Mapping[str, Any], job: Job) -> dict[str, Any]:
    """The model and the options of decoding: the first part of a record."""
    return {
        "model": decode_job.model.name,
        "family": decode_job.family,
        **facts,
        "options": dict(decode_job.options),
        "engine": decode_job.engine,
        "precision": decode_job.numbers,
        "loop_test": None if decode_job.loop is None else f"{decode_job.loop.ngram}-gram>{decode_job.loop.count}",
        "processes": job.ngpu or job.nj,
    }


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    write_text(folder / RECORD, json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def finish_folder(folder: Path, tally: DecodingTally, cache: Path, job: Job, what: str) -> Counts:
    """Write the rejected items, check that there are not too many, and delete the cache of answers."""
    write_rejected(folder, tally.rejected)
    reasons = dict(check_bad(folder, output_name(folder), tally.n_in, job.config.max_bad))
    shutil.rmtree(cache.parent, ignore_errors=True)
    return Counts(tally.n_in, tally.n_in - sum(reasons.values()), reasons, what)


def write_timing(folder: Path, tally: DecodingTally, record: Mapping[str, Any]) -> None:
    """Write the time that decoding the set took, for stage 12."""
    if tally.audio_s <= 0 or tally.seconds <= 0:
        return
    timing = {
        "audio_s": round(tally.audio_s, 3),
        "runs_s": [round(tally.seconds, 3)],
        "batch_size": record["options"]["batch_size"],
        "threads": record["threads"],
        "dtype": record["precision"],
        "device": record["device"],
    }
    write_text(folder / TIMING, json.dumps(timing) + "\n")
