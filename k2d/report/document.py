"""The parts of a report, independent of Markdown and HTML: sections with tables, paragraphs and figures."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING = "–"  # for a missing value


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell in a table. `best` is printed in bold."""

    text: str
    best: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header. The first `n_names` columns are names, the others are numbers."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    n_names: int = 1
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.header) for row in self.rows), f"ragged table: {self.caption}"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of text. A warning is highlighted."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of short lines. It is highlighted if they are warnings."""

    lines: tuple[str, ...]
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot as SVG, with a caption that describes it."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring tokens of a transcript: either the other transcript has them too, or only this one."""

    text: str
    is_shared: bool


@dataclass(frozen=True, slots=True)
class Clip:
    """The audio of a chunk as a data URI, or the reason why it is missing."""

    uri: str = ""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two opinions on one chunk side by side, with its audio."""

    id: str
    facts: str
    teacher: tuple[Stretch, ...]
    auxiliary: tuple[Stretch, ...]
    clip: Clip


Block = Table | Paragraph | Bullets | Figure | Disagreement


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the blocks below it."""

    title: str
    blocks: tuple[Block, ...]


def names(*texts: str) -> tuple[Cell, ...]:
    """Cells without emphasis.

    >>> names("teacher", "–")
    (Cell(text='teacher', best=False), Cell(text='–', best=False))
    """
    return tuple(Cell(text) for text in texts)
