"""A report as Markdown: its tables and texts. Plots and audio are only in the HTML page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from k2d.report.document import Block, Bullets, Paragraph, Section, Table

# Characters that would be parsed as markup or HTML, if they occur in names from outside.
_SPECIAL = re.compile(r"[\\`*\[\]|]")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def markdown(title: str, sections: Sequence[Section]) -> str:
    """The whole report. Sections without a table or text are left out."""
    return f"# {escaped(title)}\n\n{sections_markdown(sections)}".rstrip("\n") + "\n"


def sections_markdown(sections: Sequence[Section]) -> str:
    """Each section under its title. The last line has no line end."""
    parts: list[str] = []
    for section in sections:
        if written := [text for block in section.blocks for text in _block(block)]:
            parts += [f"## {escaped(section.title)}", *written]
    return "\n\n".join(parts)


def escaped(text: str) -> str:
    r"""Text escaped so that Markdown shows it unchanged, on one line.

    >>> print(escaped("a|b *c* <script>"))
    a\|b \*c\* &lt;script&gt;
    """
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()).translate(_HTML))


def table_markdown(table: Table) -> str:
    """
    >>> print(table_markdown(Table("MER", ("system", "MER %"), ((Cell("teacher"), Cell("9.1", best=True)),))))
    | system | MER % |
    |---|--:|
    | teacher | **9.1** |
    """
    rule = ["---"] * table.n_names + ["--:"] * (len(table.header) - table.n_names)
    lines = [_line(map(escaped, table.header)), "|" + "|".join(rule) + "|"]
    rows = ((f"**{escaped(cell.text)}**" if cell.best else escaped(cell.text) for cell in row) for row in table.rows)
    return "\n".join([*lines, *map(_line, rows)])


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Table):
        yield f"**{escaped(block.caption)}**"
        yield table_markdown(block)
        yield from map(escaped, block.notes)
    elif isinstance(block, Paragraph):
        yield f"**Note:** {escaped(block.text)}" if block.warning else escaped(block.text)
    elif isinstance(block, Bullets):
        yield "\n".join(f"- {escaped(line)}" for line in block.lines)


def _line(cells: Iterator[str]) -> str:
    return "| " + " | ".join(cells) + " |"
