"""Repairs what a killed run has left behind, before the next run starts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from k2d.core.atomic import partial_folder, publish_folder, replaced_in, restore
from k2d.core.errors import K2DError
from k2d.core.layout import Layout, shown
from k2d.core.lock import holding
from k2d.core.stamp import STAMP, Stamp, damaged_files, differences, readable_stamp
from k2d.pipeline.unit_status import State

log = logging.getLogger("k2d")


def recover(layout: Layout) -> None:
    """Move back each folder that a killed run had moved aside to replace it. The caller holds the experiment's lock.

    This happens before any stage looks for its inputs, because a stage may read such a folder. Folders in `data/` are
    left alone: experiments share them, and another run may be working on them.
    """
    for final in _interrupted_below(layout.exp):
        _restore(final)
    for final in replaced_in(layout.data):
        with suppress(K2DError), holding(final):
            _restore(final)


def adopt(state: State) -> Stamp | None:
    """Publish a finished unit that an earlier run could not publish, if its recipe is the present one.

    The caller holds the unit's lock. Every file is hashed, because after a power cut a file may have the right size and
    time but not its content.
    """
    partial = partial_folder(state.unit.output)
    stamp = readable_stamp(partial)
    if stamp is None or differences(stamp.recipe, state.recipe) or damaged_files(partial, stamp, verify=True):
        return None
    publish_folder(partial, state.unit.output)
    log.info("%s: finished by a run that was killed; moved into its place", shown(state.unit.output))
    return stamp


def _interrupted_below(folder: Path) -> Iterator[Path]:
    """Interrupted replacements. Finished folders are not searched: they contain none and may be large."""
    yield from replaced_in(folder)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
            below = Path(entry.path)
            if not (below / STAMP).exists():
                yield from _interrupted_below(below)


def _restore(final: Path) -> None:
    if restore(final):
        log.warning("%s: moved back; the run that was replacing it was killed", shown(final))
