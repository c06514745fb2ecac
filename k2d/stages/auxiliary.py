"""Stage 4: make the auxiliaries, small recognisers for second opinions: train them, or load their checkpoints."""

from __future__ import annotations

from pathlib import Path

from k2d.core.errors import UsageError
from k2d.core.layout import TEACHER
from k2d.fitting.teacher_or_auxiliary import VERSION as TRAINING_VERSION
from k2d.fitting.teacher_or_auxiliary import TeacherOrAuxiliary, make_teacher_or_auxiliary, unit_of
from k2d.pipeline.job import Counts, Job, Unit

VERSION = TRAINING_VERSION


def units(job: Job) -> list[Unit[TeacherOrAuxiliary]]:
    """One unit for each auxiliary that decodes here, in the order of the config."""
    auxiliaries = job.config.decoding_auxiliaries()
    if TEACHER in job.config.auxiliaries:
        raise UsageError(f"auxiliaries.{TEACHER}: this name is the teacher's; give the auxiliary another")
    return [unit_of(name, recogniser, f"auxiliaries.{name}", job) for name, recogniser in auxiliaries.items()]


def make(unit: Unit[TeacherOrAuxiliary], job: Job, folder: Path) -> Counts:
    """Make an auxiliary's folder."""
    return make_teacher_or_auxiliary("auxiliary", unit, job, folder)
