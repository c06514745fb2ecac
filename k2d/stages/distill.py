"""Stage 10: a student for each method and seed learns from what the method kept; controls learn beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2d.config import Config, distill_settings, settings_of
from k2d.core.errors import UsageError
from k2d.core.layout import STUDENT, TEACHER
from k2d.fitting.table_row import ROWS, Row, pool_phase_settings, train_row
from k2d.pipeline.job import Counts, Job, Unit
from k2d.pipeline.unit_status import recipe_of
from k2d.train.sharing import check_batch

VERSION = 2

_NOT_DECIDING = ("batch_size", "beam", "ctc_rows")  # of how checkpoints are decoded


@dataclass(frozen=True, slots=True)
class TrainedRow:
    """A student or a control, trained with one seed."""

    name: str
    """The method, or the control."""
    seed: int
    config: Config
    pool_phase: Mapping[str, Any] | None
    """What a control takes over from the teacher's training; None for a student."""

    @property
    def row(self) -> Row:
        return ROWS.get(self.name, Row.STUDENT)

    @property
    def model(self) -> str:
        return f"{self.name}-s{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """What decides a student: its data, its beginning, the objective, and by what its checkpoints are chosen."""
        config = self.config
        is_control = self.row is not Row.STUDENT  # which is trained on the whole vocabulary in any case
        distill = distill_settings(replace(config.distill, vocabulary="all") if is_control else config.distill)
        for other in ("seeds", "controls", "keep_encoded"):
            del distill[other]
        return {
            "row": self.name,
            "seed": self.seed,
            "language": list(config.teacher.language),
            "freeze_encoder": config.student.freeze_encoder,
            "freeze_positions": config.student.freeze_positions,
            "heldout_seed": config.seed,
            "distill": distill,
            "decode": {name: value for name, value in settings_of(config.decode).items() if name not in _NOT_DECIDING},
            **({} if self.pool_phase is None else {"pool_phase": self.pool_phase}),
        }


def units(job: Job) -> list[Unit[TrainedRow]]:
    """A student (or a control) and a seed is a unit."""
    config = job.config
    clashing = sorted({*config.select.methods} & {*config.distill.controls})
    if clashing:
        raise UsageError(f"select.methods.{clashing[0]}: this name is a control's; give the method another")
    training = config.distill.training
    check_batch("distill.training", training.batch_size, training.accumulate, job.n_processes)
    return [_unit(row, seed, job) for row, seed in config.students().values()]


def _unit(name: str, seed: int, job: Job) -> Unit[TrainedRow]:
    config, layout = job.config, job.layout
    is_control = name in ROWS
    row = TrainedRow(name, seed, config, pool_phase_settings(job) if is_control else None)
    if is_control:
        data = [layout.split(split) for split in config.corpora.labelled]
        if not data:
            raise UsageError(f"distill.controls: {name} learns from labelled data; name a split in corpora.labelled")
    else:
        data = [layout.selection(name)]
    pseudo = [layout.pseudo_labels(split) for split in config.corpora.unlabelled]  # the held-out recordings' text
    models = [layout.model(TEACHER), *([] if row.row is Row.TEACHER_MORE else [layout.model(STUDENT)])]
    return Unit(layout.model(row.model), row, (*models, *data, *pseudo), added=frozenset({"pool_phase"}))


def make(unit: Unit[TrainedRow], job: Job, folder: Path) -> Counts:
    """Train one student."""
    row = unit.content
    splits = sorted(job.config.corpora.unlabelled)  # the recipe does not hold in which order the config names them
    kept = {split: job.layout.kept(row.name, split) for split in splits}
    recipe = recipe_of("distill", VERSION, unit, job)
    return train_row(row.row, row.model, row.seed, kept, recipe, job, folder)
