"""Stage 10: a student for each method and seed learns from what the method kept; controls learn beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from k2d.config import settings_of
from k2d.core.errors import UsageError
from k2d.core.layout import STUDENT, TEACHER
from k2d.fitting.table_row import ROWS, Row, pool_phase_settings, train_row
from k2d.pipeline.job import Counts, Job, Unit
from k2d.pipeline.unit_status import recipe_of
from k2d.train.sharing import check_batch

VERSION = 2

_NOT_DECIDING = ("batch_size", "beam", "ctc_rows")  # of how checkpoints are decoded


def units(job: Job) -> list[Unit]:
    """A student (or a control) and a seed is a unit."""
    config = job.config
    clashing = sorted({*config.select.methods} & {*config.distill.controls})
    if clashing:
        raise UsageError(f"select.methods.{clashing[0]}: this name is a control's; give the method another")
    training = config.distill.training
    check_batch("distill.training", training.batch_size, training.accumulate, job.n_processes)
    return [_unit(row, seed, job) for row, seed in config.students().values()]


def _unit(name: str, seed: int, job: Job) -> Unit:
    """What decides a student: its data, its beginning, the objective, and by what its checkpoints are chosen."""
    config, layout = job.config, job.layout
    row = ROWS.get(name, Row.STUDENT)
    distill = settings_of(config.distill)
    for other in ("seeds", "controls", "keep_encoded"):
        del distill[other]
    settings: dict[str, Any] = {
        "row": name,
        "seed": seed,
        "language": list(config.teacher.language),
        "freeze_encoder": config.student.freeze_encoder,
        "freeze_positions": config.student.freeze_positions,
        "heldout_seed": config.seed,
        "distill": distill,
        "decode": {name: value for name, value in settings_of(config.decode).items() if name not in _NOT_DECIDING},
    }
    if row is Row.STUDENT:
        data = [layout.selection(name)]
    else:
        data = [job.layout.split(split) for split in config.corpora.labelled]
        if not data:
            raise UsageError(f"distill.controls: {name} learns from labelled data; name a split in corpora.labelled")
        settings["pool_phase"] = pool_phase_settings(job)
    pseudo = [layout.pseudo_labels(split) for split in config.corpora.unlabelled]  # the held-out recordings' text
    models = [layout.model(TEACHER), *([] if row is Row.TEACHER_MORE else [layout.model(STUDENT)])]
    output, inputs = layout.model(f"{name}-s{seed}"), (*models, *data, *pseudo)
    return Unit(output, settings, inputs, added=frozenset({"pool_phase"}))


def make(unit: Unit, job: Job, folder: Path) -> Counts:
    """Train one student."""
    name, seed = str(unit.settings["row"]), int(unit.settings["seed"])
    splits = sorted(job.config.corpora.unlabelled)  # the recipe does not hold in which order the config names them
    kept = {split: job.layout.kept(name, split) for split in splits}
    recipe = recipe_of("distill", VERSION, unit, job)
    return train_row(ROWS.get(name, Row.STUDENT), f"{name}-s{seed}", seed, kept, recipe, job, folder)
