"""The stages in order, with what each reads and writes. run.sh has a line for each."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

from k2d.core.errors import UsageError
from k2d.pipeline.job import Counts, Job, Unit


class StageModule(Protocol):
    """The names that k2d/stages/<verb>.py defines."""

    VERSION: int
    """Raise it by hand if the same settings would give another result."""
    units: Callable[[Job], Sequence[Unit[Any]]]
    """The folders that this stage makes for a job, in order."""
    make: Callable[[Unit[Any], Job, Path], Counts]
    """Fill the given new, empty folder with the unit's content."""


@dataclass(frozen=True, slots=True)
class Stage:
    number: int
    verb: str
    reads: str
    writes: str

    @property
    def is_built(self) -> bool:
        return importlib.util.find_spec(f"k2d.stages.{self.verb}") is not None

    def load(self) -> StageModule:
        """Import the stage's module. It is imported late, so that a stage does not load another's libraries."""
        if not self.is_built:
            raise UsageError(f"stage {self.number} ({self.verb}) is not built yet in this version of K2D")
        return cast(StageModule, importlib.import_module(f"k2d.stages.{self.verb}"))


STAGES = (
    Stage(1, "prepare", "egs/<corpus>, the raw corpus", "data/<corpus>/<split>/"),
    Stage(2, "tokens", "labelled text", "tokens/"),
    Stage(3, "teacher", "labelled data, or a checkpoint", "models/teacher/"),
    Stage(4, "auxiliary", "labelled data, or a checkpoint", "models/<auxiliary>/"),
    Stage(5, "pseudo_label", "long recordings, teacher", "pseudo/<corpus>/<split>/"),
    Stage(6, "chunk", "pseudo-labels", "chunks/<corpus>/<split>/"),
    Stage(7, "second_opinion", "chunks, auxiliary", "opinions/<auxiliary>/<corpus>/<split>/"),
    Stage(8, "select", "two opinions per chunk", "select/distances/<auxiliary>/, select/<method>/"),
    Stage(9, "init_student", "teacher", "models/student_init/"),
    Stage(10, "distill", "kept chunks, teacher, student", "models/<method>-s<seed>/"),
    Stage(11, "decode", "test and dev sets, every model", "decode/<model>/<corpus>/<split>/, speed/<corpus>/<split>/"),
    Stage(12, "score", "hypotheses, references", "score/<model>/<corpus>/<split>/"),
    Stage(13, "report", "scores, selection records", "report/"),
    Stage(14, "export", "a student", "export/<model>/<format>/"),
)

BY_VERB = {stage.verb: stage for stage in STAGES}
