"""Stage 3: make the teacher: train it on labelled data, or load its checkpoint."""

from __future__ import annotations

import logging
from pathlib import Path

from k2d.core.layout import TEACHER
from k2d.fitting.teacher_or_auxiliary import VERSION as TRAINING_VERSION
from k2d.fitting.teacher_or_auxiliary import TeacherOrAuxiliary, make_teacher_or_auxiliary, unit_of
from k2d.pipeline.external_files import missing_labels
from k2d.pipeline.job import Counts, Job, Unit

VERSION = TRAINING_VERSION

log = logging.getLogger("k2d")


def units(job: Job) -> list[Unit[TeacherOrAuxiliary]]:
    return [unit_of(TEACHER, job.config.teacher, "teacher", job)]


def make(unit: Unit[TeacherOrAuxiliary], job: Job, folder: Path) -> Counts:
    """Make the teacher's folder. A file that stage 5 will need is missed before a training of hours, not after it."""
    for line in missing_labels(job.config):
        log.warning("%s; stage 5 will need it", line)
    return make_teacher_or_auxiliary("teacher", unit, job, folder)
