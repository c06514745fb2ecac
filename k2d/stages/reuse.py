"""Taking from another experiment what was made there in just the way that is asked for here."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from k2d.atomic import new_partial_folder, publish_folder
from k2d.paths import PROJECT_ROOT, shown
from k2d.stages.job import Job
from k2d.stages.state import State
from k2d.stamp import damaged_files, differences, readable_stamp

log = logging.getLogger("k2d")


def take(state: State, job: Job) -> bool:
    """Put the other experiment's folder in a unit's place, if its stamp says that it is the same and it is whole.

    Files are linked, not copied, where the file system allows it: nothing in a finished folder is ever changed.
    """
    source = _source(state.unit.output, job)
    if source is None or not source.is_dir():
        return False
    stamp = readable_stamp(source)
    if stamp is None or differences(stamp.recipe, state.recipe) or damaged_files(source, stamp):
        return False
    partial = new_partial_folder(state.unit.output)
    shutil.copytree(source, partial, copy_function=_link, dirs_exist_ok=True)
    publish_folder(partial, state.unit.output)
    log.info("%s: taken from %s", shown(state.unit.output), shown(source))
    return True


def _source(output: Path, job: Job) -> Path | None:
    """Where the other experiment has what belongs here."""
    if job.config.reuse is None or not output.is_relative_to(job.places.exp):
        return None
    return PROJECT_ROOT / job.config.reuse / output.relative_to(job.places.exp)


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
