"""Stage 3: the teacher, trained on labelled data or taken ready."""

from __future__ import annotations

from pathlib import Path

from k2d.core.layout import TEACHER
from k2d.fitting.teacher_or_auxiliary import VERSION as TRAINING_VERSION
from k2d.fitting.teacher_or_auxiliary import LabelledModel, make_model, unit_of
from k2d.pipeline.job import Counts, Job, Unit

VERSION = TRAINING_VERSION


def units(job: Job) -> list[Unit[LabelledModel]]:
    return [unit_of(TEACHER, job.config.teacher, "teacher", job)]


def make(unit: Unit[LabelledModel], job: Job, folder: Path) -> Counts:
    """Make the teacher's folder."""
    return make_model("teacher", unit, job, folder)
