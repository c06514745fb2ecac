"""Stage 5: decode the long recordings with the teacher, with timestamps, or take transcripts made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.layout import TEACHER
from k2d.data.kaldi.datadir import read_recordings
from k2d.inference.answer_cache import cache_of
from k2d.inference.decode_job import VERSION as DECODER_VERSION
from k2d.inference.decode_job import DecodeJob, decode_settings, plan_long_recordings
from k2d.inference.external import ELSEWHERE, take_labels
from k2d.inference.hypothesis_folder import decode_to_folder
from k2d.pipeline.external_files import external_file
from k2d.pipeline.job import Counts, Job, Unit

VERSION = DECODER_VERSION


@dataclass(frozen=True, slots=True)
class PseudoLabels:
    """The teacher's hypotheses for the recordings of a split."""

    split: str
    decode_job: DecodeJob

    @property
    def settings(self) -> dict[str, Any]:
        return {"split": self.split, **decode_settings(self.decode_job)}


@dataclass(frozen=True, slots=True)
class ExternalLabels:
    """The hypotheses of another system for the recordings of a split."""

    split: str
    file: Path

    @property
    def settings(self) -> dict[str, Any]:
        return {"split": self.split, "labels": ELSEWHERE}  # the file is an input, so its content counts


Labels = PseudoLabels | ExternalLabels


def units(job: Job) -> list[Unit[Labels]]:
    """Each unlabelled split is a unit."""
    if job.config.pseudo_label.from_ is not None:
        named = job.config.pseudo_label.from_
        return [
            _external_unit(split, external_file("pseudo_label.from", named, split), job)
            for split in job.config.corpora.unlabelled
        ]
    decode_job, layout = plan_long_recordings(TEACHER, job.config.teacher, job), job.layout
    return [
        Unit(
            layout.pseudo_labels(split),
            PseudoLabels(split, decode_job),
            (decode_job.model, layout.split(split) / "wav.scp"),
        )
        for split in job.config.corpora.unlabelled
    ]


def _external_unit(split: str, file: Path, job: Job) -> Unit[Labels]:
    """The teacher is an input as well: its window decides which segments fit."""
    inputs = (file, job.layout.model(TEACHER), job.layout.split(split) / "wav.scp")
    return Unit(job.layout.pseudo_labels(split), ExternalLabels(split, file), inputs)


def make(unit: Unit[Labels], job: Job, folder: Path) -> Counts:
    """Decode one split, or take its transcripts from a file."""
    recordings = read_recordings(job.layout.split(unit.content.split))
    if isinstance(unit.content, ExternalLabels):
        return take_labels(unit.content.file, recordings, job, folder)
    return decode_to_folder(recordings, unit.content.decode_job, cache_of(unit, job), job, folder)
