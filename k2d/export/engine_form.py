"""Convert a model for CTranslate2 once, into a stamped folder."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

from k2d.config.fields import ComputeType
from k2d.core.atomic import new_partial_folder, publish_folder
from k2d.core.layout import shown
from k2d.core.lock import holding
from k2d.core.stamp import Recipe, damaged_files, fingerprint, readable_stamp, write_stamp
from k2d.export.request import ExportRequest, demand

VERSION = 1


def convert(model: Path, compute_type: ComputeType, target: Path, asked_by: str, tell: Callable[[str], None]) -> None:
    """Convert a model into `target`, unless that has been done. `tell` prints a message before the conversion."""
    from k2d.export import ctranslate2
    from k2d.models.registry import family_of

    demand(asked_by, "ctranslate2", "transformers")
    library = f"ctranslate2-{importlib.metadata.version('ctranslate2')}"
    settings = {"compute_type": compute_type, "library": library}
    recipe = Recipe("engine", VERSION, settings, {"model": fingerprint(model)})
    target.parent.mkdir(parents=True, exist_ok=True)
    with holding(target):
        stamp = readable_stamp(target)
        if stamp is not None and stamp.recipe.identity == recipe.identity and not damaged_files(target, stamp):
            return
        tell(f"{shown(model)}: converted for CTranslate2 ({compute_type})")
        partial = new_partial_folder(target)
        ctranslate2.write(model, ExportRequest(model.name, compute_type=compute_type), partial)
        family_of(model).engine("ctranslate2").write_facts(partial, model)
        write_stamp(partial, recipe, {}, {})
        publish_folder(partial, target)
