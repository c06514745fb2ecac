"""Models for the engine ctranslate2: each is converted once, into the experiment's cache."""

from __future__ import annotations

import logging
from pathlib import Path

from k2d.config.fields import ComputeType
from k2d.export import engine_form

log = logging.getLogger("k2d")


def engine_folder(model: Path, compute_type: ComputeType) -> Path:
    """Where the converted form of `exp/<name>/models/<model>` lies."""
    return model.parents[1] / "cache" / "ctranslate2" / model.name / compute_type


def convert(model: Path, compute_type: ComputeType) -> None:
    """Convert a model unless that is done already."""
    target = engine_folder(model, compute_type)
    engine_form.convert(model, compute_type, target, "decode.engine: ctranslate2", log.info)
