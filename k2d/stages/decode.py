"""Stage 11: every model hears every test and dev set, long-form; on test sets its speed is measured.

Not that of students of further seeds, who are the first one's network with other weights.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path

from k2d.atomic import write_text
from k2d.config.schema import Recogniser
from k2d.data.kaldi.datadir import read_recordings
from k2d.faults import MissingInput
from k2d.score.store import CTC_ROW
from k2d.stages.answers import cache_of
from k2d.stages.decoding import Speed, measure_speed
from k2d.stages.hearing import hear_recordings
from k2d.stages.job import Counts, Job, Unit
from k2d.stages.pseudo_label import TEACHER
from k2d.stages.speed import first_stretch
from k2d.stages.work import VERSION as DECODER_VERSION
from k2d.stages.work import Work, longform_work, settings_of_work

VERSION = DECODER_VERSION

_TESTS = ("in_domain", "out_domain")
_SETS = ("dev", *_TESTS)
SPEED_S = 120.0
"""How much of a test set is decoded, over and over, to measure speed."""

log = logging.getLogger("k2d")


def units(job: Job) -> list[Unit]:
    """A model on a set is a unit."""
    asked = sets(job)
    if not asked:
        log.info("nothing to decode: no set has the role dev, in_domain or out_domain (corpora)")
        return []
    found = models(job)
    students = job.config.students()
    if students and not set(students) & set(found):
        log.info("no student is trained yet: the teacher and the auxiliaries alone are decoded")
    return [_unit(model, split, role, job) for model in found for split, role in asked.items()]


def models(job: Job) -> dict[str, tuple[str, Recogniser]]:
    """The rows that are to be decoded: the model and how. Students as their teacher, once any is trained."""
    config = job.config
    trained = {TEACHER: config.teacher, **config.auxiliaries}
    rows = {name: (name, recogniser) for name, recogniser in trained.items()}
    if config.decode.ctc_rows:
        others = {n: r for n, r in trained.items() if r.family == "espnet_s2t" and r.decode != "ctc"}
        rows |= {f"{n}{CTC_ROW}": (n, replace(r, decode="ctc")) for n, r in others.items()}
    students = config.students()
    if any((job.places.exp / "models" / name).is_dir() for name in students):
        rows |= {name: (name, config.teacher) for name in students}
    return rows


def sets(job: Job) -> dict[str, str]:
    """The dev and test sets with their roles; a corpus that the config does not know joins as out_domain."""
    named = {split: role for split, role in job.config.corpora.roles().items() if role in _SETS}
    if job.corpus is None:
        return named
    if job.corpus in job.config.corpora.names():
        return {split: role for split, role in named.items() if split.split("/")[0] == job.corpus}
    prepared = sorted(path.parent.name for path in (job.places.data / job.corpus).glob("*/text"))
    if not prepared:
        raise MissingInput(f"the corpus {job.corpus!r} has no set with a text; run stage 1 (prepare) on it first")
    return {f"{job.corpus}/{split}": "out_domain" for split in prepared}


def _unit(model: str, split: str, role: str, job: Job) -> Unit:
    work = longform_work(*models(job)[model], job)
    _, seed = job.config.students().get(model, (model, None))
    is_timed = role in _TESTS and seed in (None, job.config.distill.seeds[0])
    speed = {"speed_runs": job.config.score.speed_runs, "speed_s": SPEED_S} if is_timed else {}
    settings = {"model": model, "set": split, **settings_of_work(work), **speed}
    return Unit(job.places.exp / "decode" / model / split, settings, (work.model, job.places.split(split) / "wav.scp"))


def make(unit: Unit, job: Job, folder: Path) -> Counts:
    """Decode a set by a model; then, alone on the machine, parts of it again for the time it takes."""
    model, split = str(unit.settings["model"]), str(unit.settings["set"])
    work = longform_work(*models(job)[model], job)
    data = job.places.split(split)
    counts = hear_recordings(read_recordings(data), work, cache_of(unit, job), job, folder)
    if "speed_runs" in unit.settings:
        _measure(work, data, job, folder)
    return counts


def _measure(work: Work, data: Path, job: Job, folder: Path) -> None:
    stretch = tuple(first_stretch(read_recordings(data), SPEED_S))
    n_runs, n_threads = job.config.score.speed_runs, len(os.sched_getaffinity(0))
    for name, batch_size in (("timing.json", 1), ("timing_batched.json", job.config.decode.batch_size)):
        timing = measure_speed(Speed(work, stretch, batch_size, n_runs, n_threads), job) if stretch else None
        if timing is not None:
            write_text(folder / name, json.dumps(timing) + "\n")
