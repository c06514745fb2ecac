"""Make a recogniser that is trained here: its inputs, its window, its random weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from k2d.config.schema import Recogniser
from k2d.core.layout import PROJECT_ROOT
from k2d.models.family import NewModel
from k2d.models.registry import FAMILIES
from k2d.pipeline.job import Job

if TYPE_CHECKING:
    from k2d.models.codec import Window
    from k2d.models.interface import Trainable
    from k2d.train.engine import Setting
    from k2d.train.pool import Pool


def setting_of(work: Path, seed: int, job: Job) -> Setting:
    """Where a training runs, and with how many processes."""
    from k2d.train.engine import Setting

    return Setting(work, seed, job.ngpu, n_workers=job.config.loader_processes)


def inputs_of(recogniser: Recogniser, job: Job) -> tuple[Path, ...]:
    """The files that determine a new model: its config, and the vocabulary unless its family has its own."""
    config, vocabulary = PROJECT_ROOT / str(recogniser.model), job.layout.tokens
    return (config, vocabulary) if FAMILIES[recogniser.family].uses_vocabulary else (config,)


def window_of(recogniser: Recogniser) -> Window:
    """The window of a recogniser that is trained here."""
    return FAMILIES[recogniser.family].window(PROJECT_ROOT / str(recogniser.model))


def new_recogniser(recogniser: Recogniser, pool: Pool, work: Path, job: Job, *, seed: int) -> Trainable:
    """A network with random weights for this pool. `work` is a folder for files from which it is made."""
    config, vocabulary = PROJECT_ROOT / str(recogniser.model), job.layout.tokens
    made_from = NewModel(config, vocabulary, recogniser.language, seed, work)
    return FAMILIES[recogniser.family].new(made_from, pool)
