"""What a stage is asked to do (Job), the folders it makes (Unit) and what it counted (Counts)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from k2d.config import Config
from k2d.core.layout import Layout
from k2d.pipeline.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Job:
    """The experiment, and how this run of it is to be carried out. Only `config` decides results."""

    config: Config
    layout: Layout
    nj: int = 1
    ngpu: int = 0
    corpus: str | None = None
    """Limit to this corpus, where a stage works by corpus."""
    force: bool = False
    words: tuple[str, ...] = ()
    """The words that name the experiment on a command line, for messages that print one."""
    inspection: Inspection = field(default_factory=Inspection, compare=False, repr=False)
    """What this run has seen of the experiment's folders so far."""

    @property
    def n_processes(self) -> int:
        """Processes that train a model together: one per GPU, or one on the CPU."""
        return max(1, self.ngpu)


class Content(Protocol):
    """What the folder of a unit is to hold: a frozen dataclass for each kind of unit, in the file of its stage.

    It has what `make` needs, so that nothing is planned again when the folder is made.
    """

    @property
    def settings(self) -> Mapping[str, Any]:
        """What of it decides the result, as the stamp records it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The content of a unit whose `make` needs nothing but its settings."""

    settings: Mapping[str, Any]


C = TypeVar("C", bound=Content, covariant=True)


@dataclass(frozen=True, slots=True)
class Unit(Generic[C]):
    """One output folder of a stage, with all that decides what it holds."""

    output: Path
    content: C
    inputs: tuple[Path, ...] = ()
    is_disposable: bool = False
    """Replaced without asking when its settings or inputs have changed (not when somebody edited it)."""
    added: frozenset[str] = frozenset()
    """Settings that stamps of earlier versions lack; where they do, nothing is known to have changed."""

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.content.settings


@dataclass(frozen=True, slots=True)
class Counts:
    """`in = kept + dropped by reason`, checked when it is made."""

    n_in: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    what: str = "items"

    def __post_init__(self) -> None:
        assert self.n_in == self.kept + sum(self.dropped.values()), f"items have got lost: {self}"

    def __str__(self) -> str:
        """
        >>> print(Counts(10, 8, {"truncated": 2}, "recordings"))
        in 10 recordings = kept 8 + truncated 2
        """
        parts = [
            f"kept {self.kept:,}",
            *(f"{reason} {n:,}" for reason, n in sorted(self.dropped.items()) if n),
        ]
        return f"in {self.n_in:,} {self.what} = {' + '.join(parts)}"
