"""Stage 5: decode the long recordings with the teacher, with timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.layout import TEACHER
from k2d.data.kaldi.datadir import read_recordings
from k2d.inference.answer_cache import cache_of
from k2d.inference.decode_job import VERSION as DECODER_VERSION
from k2d.inference.decode_job import DecodeJob, decode_settings, plan_long_recordings
from k2d.inference.hypothesis_folder import decode_to_folder
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


def units(job: Job) -> list[Unit[PseudoLabels]]:
    """Each unlabelled split is a unit."""
    decode_job, layout = plan_long_recordings(TEACHER, job.config.teacher, job), job.layout
    return [
        Unit(
            layout.pseudo_labels(split),
            PseudoLabels(split, decode_job),
            (decode_job.model, layout.split(split) / "wav.scp"),
        )
        for split in job.config.corpora.unlabelled
    ]


def make(unit: Unit[PseudoLabels], job: Job, folder: Path) -> Counts:
    """Decode one split."""
    recordings = read_recordings(job.layout.split(unit.content.split))
    return decode_to_folder(recordings, unit.content.decode_job, cache_of(unit, job), job, folder)
