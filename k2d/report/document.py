"""What a report is made of, before it is Markdown or HTML: sections of tables, paragraphs and figures."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING = "–"  # a figure that is not there


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a table, as text; `best` is set in bold."""

    text: str
    best: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. The first `n_names` columns are names, the others figures."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    n_names: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), f"ragged table: {self.caption}"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Some sentences; a warning stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of short lines; of warnings where something is missing."""

    lines: tuple[str, ...]
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot as SVG. `caption` describes it in words."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring tokens of a transcript that the other one has as well, or that are this one's alone."""

    text: str
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Clip:
    """The sound of a chunk as a data URI, or why it is not here."""

    uri: str = ""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two opinions on one chunk, side by side, with its sound."""

    id: str
    facts: str
    teacher: tuple[Stretch, ...]
    auxiliary: tuple[Stretch, ...]
    clip: Clip


Block = Table | Paragraph | Bullets | Figure | Disagreement


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


def names(*texts: str) -> tuple[Cell, ...]:
    """Plain cells.

    >>> names("teacher", "–")
    (Cell(text='teacher', best=False), Cell(text='–', best=False))
    """
    return tuple(Cell(text) for text in texts)
