"""Whose transcripts the labels and the second opinions are, where another system made them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from k2d.config import Config, settings_of
from k2d.config.fields import Transcripts, files_named
from k2d.core.layout import TEACHER


def labeller(config: Config) -> str:
    """Who wrote the labels, to begin a sentence with."""
    labels = config.pseudo_label
    return "The teacher" if not labels.is_of_another else labels.made_by or "Another system"


def origins(config: Config) -> Iterator[str]:
    """A sentence for labels and for each auxiliary whose transcripts were made elsewhere."""
    labels = config.pseudo_label
    if labels.from_ is not None:
        files = _names(labels.from_)
        if labels.made_by == TEACHER:
            yield f"The teacher made the labels elsewhere; they were read from {files}."
        else:
            yield (
                f"The labels are not the teacher's: {labels.made_by or 'another system'} made them, and they were read "
                f"from {files}. What is compared with a second opinion is these labels, in the teacher's place."
            )
    for name, auxiliary in config.auxiliaries.items():
        if auxiliary.from_ is not None:
            yield f"The second opinions of {name} were made elsewhere and read from {_names(auxiliary.from_)}."


def origin_settings(config: Config) -> dict[str, Any]:
    """The same as settings for a stamp; empty where all transcripts are made here."""
    opinions = {name: each.from_ for name, each in config.auxiliaries.items() if each.from_ is not None}
    labels = {} if config.pseudo_label.from_ is None else {"labels": settings_of(config.pseudo_label)}
    return {**labels, **({"opinions": opinions} if opinions else {})}


def _names(files: Transcripts) -> str:
    """Names without their folders, which are of one machine."""
    return ", ".join(PurePath(each).name for each in files_named(files).split(", "))
