"""Stage 5: the teacher says what it hears in the long recordings, with timestamps."""

from __future__ import annotations

from pathlib import Path

from k2d.core.layout import TEACHER
from k2d.data.kaldi.datadir import read_recordings
from k2d.inference.answer_cache import cache_of
from k2d.inference.decode_job import VERSION as DECODER_VERSION
from k2d.inference.decode_job import longform_work, settings_of_work
from k2d.inference.output import hear_recordings
from k2d.pipeline.job import Counts, Job, Unit

VERSION = DECODER_VERSION


def units(job: Job) -> list[Unit]:
    """Each unlabelled split is a unit."""
    return [_unit(split, job) for split in job.config.corpora.unlabelled]


def _unit(split: str, job: Job) -> Unit:
    work = longform_work(TEACHER, job.config.teacher, job)
    inputs = (work.model, job.layout.split(split) / "wav.scp")
    return Unit(job.layout.pseudo_labels(split), {"split": split, **settings_of_work(work)}, inputs)


def make(unit: Unit, job: Job, folder: Path) -> Counts:
    """Decode one split."""
    split = str(unit.settings["split"])
    recordings = read_recordings(job.layout.split(split))
    work = longform_work(TEACHER, job.config.teacher, job)
    return hear_recordings(recordings, work, cache_of(unit, job), job, folder)
