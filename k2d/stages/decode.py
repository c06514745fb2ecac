"""Stage 11: decode every test and dev set with every model; then measure the models' speeds on the test sets.

Students of further seeds are not timed: they have the same network as the first one, with other weights.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2d.config.schema import Recogniser
from k2d.core.errors import MissingInput
from k2d.core.layout import SCORED_ROLES, TEACHER, TEST_ROLES
from k2d.data.kaldi.datadir import read_recordings
from k2d.inference.answer_cache import cache_of
from k2d.inference.decode_job import VERSION as DECODER_VERSION
from k2d.inference.decode_job import DecodeJob, decode_settings, plan_long_recordings
from k2d.inference.hypothesis_folder import decode_to_folder
from k2d.inference.speed import SpeedRace, make_speed, speed_unit
from k2d.models.registry import FAMILIES
from k2d.pipeline.job import Counts, Job, Unit
from k2d.score.store import CTC_ROW

VERSION = DECODER_VERSION

log = logging.getLogger("k2d")


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """The hypotheses of a system for a set."""

    system: str
    set: str
    decode_job: DecodeJob

    @property
    def settings(self) -> dict[str, Any]:
        return {"model": self.system, "set": self.set, **decode_settings(self.decode_job)}


def units(job: Job) -> list[Unit[Hypotheses | SpeedRace]]:
    """Each model on each set is a unit, and the race of all models on a test set is one."""
    asked = sets(job)
    if not asked:
        log.info("nothing to decode: no set has the role dev, in_domain or out_domain (corpora)")
        return []
    found = models(job)
    students = job.config.students()
    if students and not set(students) & set(found):
        log.info("no student has been trained yet: only the teacher and the auxiliaries are decoded")
    decode_jobs = {model: plan_long_recordings(*row, job) for model, row in found.items()}
    decoded = [_unit(model, decode_job, split, job) for model, decode_job in decode_jobs.items() for split in asked]
    score = job.config.score
    tests = [split for split, role in asked.items() if role in TEST_ROLES] if score.speed_runs else []
    timed = [split for split in tests if not score.speed_sets or split in score.speed_sets]
    return [*decoded, *(speed_unit(_timed(decode_jobs, job), split, job) for split in timed)]


def models(job: Job) -> dict[str, tuple[str, Recogniser]]:
    """The systems to decode, with model and settings. Students have the teacher's settings; all join once one
    exists.
    """
    config = job.config
    trained = {TEACHER: config.teacher, **config.decoding_auxiliaries()}
    rows = {name: (name, recogniser) for name, recogniser in trained.items()}
    if config.decode.ctc_rows:
        others = {n: r for n, r in trained.items() if FAMILIES[r.family].has_ctc_head and r.decode != "ctc"}
        rows |= {f"{n}{CTC_ROW}": (n, replace(r, decode="ctc")) for n, r in others.items()}
    students = config.students()
    if any(job.layout.model(name).is_dir() for name in students):
        rows |= {name: (name, config.teacher) for name in students}
    return rows


def sets(job: Job) -> dict[str, str]:
    """The dev and test sets with their roles. A corpus that is not in the config is out_domain."""
    named = {split: role for split, role in job.config.corpora.roles().items() if role in SCORED_ROLES}
    if job.corpus is None:
        return named
    if job.corpus in job.config.corpora.names():
        return {split: role for split, role in named.items() if split.split("/")[0] == job.corpus}
    prepared = sorted(path.parent.name for path in (job.layout.data / job.corpus).glob("*/text"))
    if not prepared:
        raise MissingInput(f"the corpus {job.corpus!r} has no set with a text; run stage 1 (prepare) on it first")
    return {f"{job.corpus}/{split}": "out_domain" for split in prepared}


def _unit(model: str, decode_job: DecodeJob, split: str, job: Job) -> Unit[Hypotheses]:
    content = Hypotheses(model, split, decode_job)
    return Unit(job.layout.hypotheses(model, split), content, (decode_job.model, job.layout.split(split) / "wav.scp"))


def _timed(decode_jobs: dict[str, DecodeJob], job: Job) -> dict[str, DecodeJob]:
    """The models to time. Of each student, only the first seed is timed."""
    first, students = job.config.distill.seeds[0], job.config.students()
    return {
        model: decode_job
        for model, decode_job in decode_jobs.items()
        if students.get(model, (model, first))[1] == first
    }


def make(unit: Unit[Hypotheses | SpeedRace], job: Job, folder: Path) -> Counts:
    """Decode a set with a model, or time all models on a stretch of it with no other worker running."""
    if isinstance(unit.content, SpeedRace):
        return make_speed(unit.content, job, folder)
    recordings = read_recordings(job.layout.split(unit.content.set))
    return decode_to_folder(recordings, unit.content.decode_job, cache_of(unit, job), job, folder)
