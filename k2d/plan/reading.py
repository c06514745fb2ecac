"""Read the shapes of the recognisers in a config from names, headers and model configs, without loading weights."""

from __future__ import annotations

from pathlib import Path

from k2d.config.schema import Config, Recogniser
from k2d.core.errors import UsageError
from k2d.core.layout import PROJECT_ROOT
from k2d.models.registry import FAMILIES
from k2d.models.shape import Shape


def shape_of(key: str, recogniser: Recogniser, config: Config) -> Shape:
    """The shape of a teacher or an auxiliary. `key` is its section of the config."""
    family = FAMILIES[recogniser.family]
    named = recogniser.checkpoint or recogniser.model
    if named is None:
        raise UsageError(f"{key}: expected {key}.model or {key}.checkpoint, found neither; name the model to plan with")
    path = Path(named) if named in family.published else PROJECT_ROOT / named
    if named not in family.published and not path.exists():
        field = "checkpoint" if recogniser.checkpoint else "model"
        raise UsageError(f"{key}.{field}: found {named!r}, expected {family.checkpoints} that exists")
    return family.shape(path, config.tokens.vocab_size)
