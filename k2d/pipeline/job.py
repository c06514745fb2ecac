"""A stage's task (Job), the folders that it makes (Unit) and the items that it counted (Counts)."""

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
    """The experiment, and the options of this run. Only `config` affects results."""

    config: Config
    layout: Layout
    nj: int = 1
    ngpu: int = 0
    corpus: str | None = None
    """Limit to this corpus. Applies to stages that work by corpus."""
    force: bool = False
    words: tuple[str, ...] = ()
    """The arguments that name the experiment on a command line, for messages with a command."""
    inspection: Inspection = field(default_factory=Inspection, compare=False, repr=False)
    """What this run has found in the experiment's folders so far."""

    @property
    def n_processes(self) -> int:
        """Processes that train a model together: one per GPU, or one on the CPU."""
        return max(1, self.ngpu)


class Content(Protocol):
    """The content of a unit's folder: a frozen dataclass for each kind of unit, in the file of its stage.

    It contains everything that `make` needs, so that nothing is planned twice.
    """

    @property
    def settings(self) -> Mapping[str, Any]:
        """The part that determines the result, as recorded in the stamp."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The content of a unit whose `make` needs only its settings."""

    settings: Mapping[str, Any]


C = TypeVar("C", bound=Content, covariant=True)


@dataclass(frozen=True, slots=True)
class Unit(Generic[C]):
    """One output folder of a stage, with everything that determines its content."""

    output: Path
    content: C
    inputs: tuple[Path, ...] = ()
    is_disposable: bool = False
    """Replaced without asking if its settings or inputs have changed, but not if a person edited it."""
    added: frozenset[str] = frozenset()
    """Settings that stamps of earlier versions lack. If one is missing in a stamp, it does not count as changed."""

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.content.settings


@dataclass(frozen=True, slots=True)
class Counts:
    """`in = kept + dropped by reason`. The sum is checked."""

    n_in: int
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    what: str = "items"

    def __post_init__(self) -> None:
        assert self.n_in == self.kept + sum(self.dropped.values()), f"the counts do not add up: {self}"

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
