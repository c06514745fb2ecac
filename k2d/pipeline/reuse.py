"""Take a unit from another experiment that made it with the same recipe."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path, PurePosixPath

from k2d.core.atomic import new_partial_folder, publish_folder, writing
from k2d.core.layout import PROJECT_ROOT, shown
from k2d.core.stamp import Stamp, damaged_files, differences, readable_stamp, restamp
from k2d.pipeline.job import Job
from k2d.pipeline.unit_status import State

# Files that contain paths of their experiment, with a pattern of the text before such a path.
_BEFORE_A_PATH = {
    "wav.scp": r"\S+ ",  # for chunks that have audio of their own
    "config.yaml": r"\s*(?:bpemodel|stats_file): ['\"]?",  # of a model, where plain ESPnet finds its files
}

log = logging.getLogger("k2d")


def take_from_other(state: State, job: Job) -> bool:
    """Copy a unit's folder from the other experiment, if it is undamaged and its stamp has the same recipe.

    Files are hard-linked if the file system allows it, since files in a finished folder are never changed. Paths in the
    other experiment are replaced by paths in this one, so that the other experiment can be deleted.
    """
    source = _source(state.unit.output, job)
    if source is None or not source.is_dir():
        return False
    stamp = readable_stamp(source)
    if stamp is None or differences(stamp.recipe, state.recipe, state.unit.added) or damaged_files(source, stamp):
        return False
    partial = new_partial_folder(state.unit.output)
    shutil.copytree(source, partial, copy_function=_link, dirs_exist_ok=True)
    _name_own_files(partial, stamp, PROJECT_ROOT / str(job.config.reuse), job.layout.exp)
    publish_folder(partial, state.unit.output)
    log.info("%s: taken from %s", shown(state.unit.output), shown(source))
    return True


def _source(output: Path, job: Job) -> Path | None:
    """The folder in the other experiment that corresponds to this output."""
    if job.config.reuse is None or not output.is_relative_to(job.layout.exp):
        return None
    return PROJECT_ROOT / job.config.reuse / output.relative_to(job.layout.exp)


def _link(source: str, destination: str) -> None:
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def _name_own_files(folder: Path, stamp: Stamp, other: Path, own: Path) -> None:
    """Replace the other experiment's folder in paths by this one's, and update the stamp."""
    renamed = []
    for name in stamp.files:
        before = _BEFORE_A_PATH.get(PurePosixPath(name).name)
        if before is not None and _replace_start(folder / name, before, f"{shown(other)}/", f"{shown(own)}/"):
            renamed.append(name)
    if renamed:
        restamp(folder, stamp, renamed)


def _replace_start(path: Path, before: str, other: str, own: str) -> bool:
    """Replace the start of the paths in a file. False if no line contains one; then nothing is written."""
    pattern = re.compile(f"({before}){re.escape(other)}")
    with path.open(encoding="utf-8", newline="\n") as lines:
        if not any(map(pattern.match, lines)):
            return False
    with path.open(encoding="utf-8", newline="\n") as lines, writing(path) as file:  # a new file: the old one is a link
        file.writelines(pattern.sub(lambda found: found[1] + own, line, count=1) for line in lines)
    return True
