"""The files of transcripts that a config names in place of a model's work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from k2d.config import Config
from k2d.config.fields import Transcripts
from k2d.core.errors import MissingInput
from k2d.core.layout import PROJECT_ROOT, shown


def external_file(key: str, named: Transcripts, split: str) -> Path:
    """The file for a split, which `key` of the config names. A relative path starts at the project."""
    path = PROJECT_ROOT / (named if isinstance(named, str) else named[split])
    if not path.exists():
        raise MissingInput(f"{key}: {shown(path)} is not there; expected transcripts, as docs/recognisers.md has them")
    return path


def missing_labels(config: Config) -> Iterator[str]:
    """A sentence for each file of labels that is not there yet."""
    named = config.pseudo_label.from_
    for split in config.corpora.unlabelled if named is not None else ():
        try:
            external_file("pseudo_label.from", named or "", split)
        except MissingInput as error:
            yield str(error)
