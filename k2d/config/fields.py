"""Types of single fields: their ranges and patterns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from k2d.core.limits import MOST_BATCH, MOST_BEAM, MOST_RESAMPLES, MOST_SPEED_RUNS
from k2d.models.registry import FAMILIES
from k2d.objectives.terms import term_names

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
STRICT_WITH_ALIAS = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True)
"""Of a section whose key is a word of Python's, such as `from`: code fills `from_`, a file under conf/ cannot."""

_SPLIT = r"^[A-Za-z0-9_]+/[A-Za-z0-9][A-Za-z0-9_.-]*$"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
SplitName = Annotated[str, StringConstraints(pattern=_SPLIT)]
Beam = Annotated[int, Field(ge=1, le=MOST_BEAM)]
BatchSize = Annotated[int, Field(ge=1, le=MOST_BATCH)]
Resamples = Annotated[int, Field(ge=1, le=MOST_RESAMPLES)]
SpeedRuns = Annotated[int, Field(ge=0, le=MOST_SPEED_RUNS)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Whole = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Alpha = Annotated[float, Field(ge=0, lt=1)]
Precision = Literal["fp32", "bf16"]
Engine = Literal["torch", "ctranslate2"]
DecodePrecision = Literal["fp32", "bf16", "fp16"]
ComputeType = Literal["fp32", "fp16", "int8", "int8_fp16"]  # of CTranslate2, as in models/whisper/ctranslate2_engine.py
ExportFormat = Literal["espnet", "openai", "huggingface", "ctranslate2"]
Step = Literal["tags", "numerals", "variants", "fillers"]
if TYPE_CHECKING:
    Term = str
else:
    Term = Literal[term_names()]  # the terms that are registered in k2d/objectives/terms.py


def _known_family(name: object) -> object:
    """Check a family's name. A Literal would be a second list of the families, so only its message is copied."""
    if not isinstance(name, str) or name not in FAMILIES:
        known = " or ".join(map(repr, FAMILIES))
        raise PydanticCustomError("literal_error", "Input should be {expected}", {"expected": known})
    return name


def _known_transcripts(value: object) -> object:
    """In place of a union of types, whose faults would name the members of the union."""
    files = list(value.values()) if isinstance(value, dict) else [value]
    splits = list(value) if isinstance(value, dict) else []
    is_good = files and all(isinstance(each, str) and each for each in files)
    if not is_good or not all(isinstance(each, str) and re.match(_SPLIT, each) for each in splits):
        expected = "a file, or a file for each split ({<corpus>/<split>: FILE})"
        raise PydanticCustomError("transcripts", "{expected}", {"expected": expected})
    return value


if TYPE_CHECKING:
    Transcripts = str | dict[str, str]
else:
    Transcripts = Annotated[Any, BeforeValidator(_known_transcripts)]


def files_named(transcripts: Transcripts) -> str:
    """The files, for people.

    >>> files_named({"lab/a": "a.jsonl", "lab/b": "b.jsonl"})
    'a.jsonl, b.jsonl'
    """
    return transcripts if isinstance(transcripts, str) else ", ".join(transcripts.values())


FamilyName = Annotated[str, BeforeValidator(_known_family)]
