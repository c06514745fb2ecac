"""Stage 10: train a student for each method and seed on the chunks that the method kept, and the controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2d.config import Config, distill_settings, settings_of
from k2d.core.errors import UsageError
from k2d.core.layout import STUDENT, TEACHER
from k2d.fitting.student_or_control import (
    CONTROLS,
    SELF_TRAINING,
    KeptData,
    TrainingKind,
    pool_phase_settings,
    train_student_or_control,
)
from k2d.pipeline.job import Counts, Job, Unit
from k2d.pipeline.unit_status import recipe_of
from k2d.select.table_files import DECISIONS
from k2d.train.sharing import check_batch

VERSION = 2

_NOT_DECIDING = ("batch_size", "beam", "ctc_rows")  # settings that do not affect how checkpoints are decoded


@dataclass(frozen=True, slots=True)
class TrainedSystem:
    """A student or a control, trained with one seed."""

    name: str
    """The name of the method or of the control."""
    seed: int
    config: Config
    pool_phase: Mapping[str, Any] | None
    """The settings that a control takes from the teacher's training. None for what learns from chunks."""

    @property
    def kind(self) -> TrainingKind:
        return CONTROLS.get(self.name, TrainingKind.STUDENT)

    @property
    def method(self) -> str:
        """The method whose chunks it learns from."""
        named = self.config.distill.teacher_self_of
        return named if self.kind is TrainingKind.TEACHER_SELF and named is not None else self.name

    @property
    def model(self) -> str:
        return f"{self.name}-s{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the result: data, initial weights, objective, and the measure that chooses checkpoints."""
        config = self.config
        section = replace(config.distill, teacher_self_of=None)  # part of the settings of one control alone, see below
        if self.kind.is_of_pool:  # trained on the whole vocabulary and on speech alone in any case
            section = replace(section, vocabulary="all", nonspeech_per_batch=1)
        if self.kind is TrainingKind.TEACHER_SELF:
            section = replace(section, objective=SELF_TRAINING)
        distill = distill_settings(section)
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
            **({} if self.method == self.name else {"method": self.method}),
            **({"weight": self.weight} if self.weight != "none" else {}),
            **({"nonspeech": sorted(self.nonspeech)} if self.nonspeech else {}),
        }

    @property
    def nonspeech(self) -> tuple[str, ...]:
        """The splits without words that it learns from as well."""
        return () if self.kind.is_of_pool else self.config.corpora.nonspeech

    @property
    def weight(self) -> str:
        """How the losses of the method's chunks are weighted."""
        methods = self.config.select.methods
        return methods[self.method].weight if self.method in methods else "none"


def units(job: Job) -> list[Unit[TrainedSystem]]:
    """One unit for each student or control and each seed."""
    config = job.config
    clashing = sorted({*config.select.methods} & {*config.distill.controls})
    if clashing:
        raise UsageError(f"select.methods.{clashing[0]}: this name is a control's; give the method another")
    training = config.distill.training
    check_batch("distill.training", training.batch_size, training.accumulate, job.n_processes)
    return [_unit(name, seed, job) for name, seed in config.students().values()]


def _unit(name: str, seed: int, job: Job) -> Unit[TrainedSystem]:
    config, layout = job.config, job.layout
    is_of_pool = name in CONTROLS and CONTROLS[name].is_of_pool
    system = TrainedSystem(name, seed, config, pool_phase_settings(job) if is_of_pool else None)
    if is_of_pool:
        data = [layout.split(split) for split in config.corpora.labelled]
        if not data:
            raise UsageError(f"distill.controls: {name} learns from labelled data; name a split in corpora.labelled")
    else:
        data = [layout.selection(system.method), *(layout.chunks(split) for split in system.nonspeech)]
    pseudo = [layout.pseudo_labels(split) for split in config.corpora.unlabelled]  # the held-out recordings' labels
    models = [layout.model(TEACHER), *([] if system.kind.is_teacher else [layout.model(STUDENT)])]
    return Unit(layout.model(system.model), system, (*models, *data, *pseudo), added=frozenset({"pool_phase"}))


def make(unit: Unit[TrainedSystem], job: Job, folder: Path) -> Counts:
    """Train one student or control."""
    system = unit.content
    splits = sorted(job.config.corpora.unlabelled)  # the order in the config is not part of the recipe
    folders = {split: job.layout.kept(system.method, split) for split in splits}
    decisions = job.layout.selection(system.method) / DECISIONS
    kept = KeptData(folders, decisions if system.weight == "distance" else None)
    recipe = recipe_of("distill", VERSION, unit, job)
    return train_student_or_control(system.kind, system.model, system.seed, kept, recipe, job, folder)
