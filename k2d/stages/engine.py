"""Models for the engine ctranslate2: each is converted once, into the experiment's cache, under a stamp."""

from __future__ import annotations

import importlib.metadata
import logging
from pathlib import Path

from k2d.atomic import new_partial_folder, publish_folder
from k2d.config.fields import ComputeType
from k2d.lock import holding
from k2d.paths import shown
from k2d.stamp import Recipe, damaged_files, fingerprint, readable_stamp, write_stamp

VERSION = 1

log = logging.getLogger("k2d")


def engine_folder(model: Path, compute_type: ComputeType) -> Path:
    """Where the converted form of `exp/<name>/models/<model>` lies."""
    return model.parents[1] / "cache" / "ctranslate2" / model.name / compute_type


def convert(model: Path, compute_type: ComputeType) -> None:
    """Convert a model unless that is done already."""
    from k2d.export import ctranslate2
    from k2d.export.wanted import Wanted, demand
    from k2d.models.whisper_ctranslate2 import write_facts
    from k2d.models.whisper_loading import read_whisper

    demand("decode.engine: ctranslate2", "ctranslate2", "transformers")
    target = engine_folder(model, compute_type)
    library = f"ctranslate2-{importlib.metadata.version('ctranslate2')}"
    settings = {"compute_type": compute_type, "library": library}
    recipe = Recipe("engine", VERSION, settings, {"model": fingerprint(model)})
    target.parent.mkdir(parents=True, exist_ok=True)
    with holding(target):
        stamp = readable_stamp(target)
        if stamp is not None and stamp.recipe.identity == recipe.identity and not damaged_files(target, stamp):
            return
        log.info("%s: converted for CTranslate2 (%s)", shown(model), compute_type)
        partial = new_partial_folder(target)
        ctranslate2.write(model, Wanted(model.name, compute_type=compute_type), partial)
        write_facts(partial, read_whisper(model))
        write_stamp(partial, recipe, {}, {})
        publish_folder(partial, target)
