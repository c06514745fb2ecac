"""A report as one HTML file without external parts: no network, no scripts, no fonts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from k2d.report.document import Block, Bullets, Cell, Disagreement, Figure, Paragraph, Section, Stretch, Table
from k2d.report.style import STYLE

# A browser with this policy loads nothing and runs nothing, whatever a transcript contains.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"

_LONG_NAME = 40  # characters; longer ones are broken into lines
_LONG = ' class="long"'
_NUMBER = ' class="n"'
_NEW = ' class="new"'  # the first row of a new group


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole report."""
    shown = [section for section in sections if section.blocks]
    links = (f'<li><a href="#{_anchor(n)}">{escape(s.title)}</a></li>' for n, s in enumerate(shown))
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f"<header><h1>{escape(title)}</h1>",
        f'<nav aria-label="Sections"><ul>{"".join(links)}</ul></nav></header><main>',
        *(_section(section, _anchor(n)) for n, section in enumerate(shown)),
        "</main></body></html>",
    ]
    return "\n".join(parts) + "\n"


def table_html(table: Table) -> str:
    """
    >>> print(table_html(Table("MER", ("system", "MER %"), ((Cell("a<b"), Cell("9.1", best=True)),))))
    <div class="scroll" role="region" tabindex="0" aria-label="MER">
    <table><caption>MER</caption>
    <thead><tr><th scope="col">system</th><th scope="col" class="n">MER %</th></tr></thead>
    <tbody>
    <tr><th scope="row">a&lt;b</th><td class="n"><strong>9.1</strong></td></tr>
    </tbody></table></div>
    """
    head = (
        f'<th scope="col"{"" if n < table.n_names else _NUMBER}>{escape(text).replace("/", "/<wbr>")}</th>'
        for n, text in enumerate(table.header)
    )
    starts = _group_starts(table)
    body = (f"<tr{_NEW if n in starts else ''}>{''.join(_row(row, table))}</tr>" for n, row in enumerate(table.rows))
    caption = escape(table.caption)
    return "\n".join(
        [
            f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}">',
            f"<table><caption>{caption}</caption>",
            f"<thead><tr>{''.join(head)}</tr></thead>",
            "<tbody>",
            *body,
            "</tbody></table></div>",
        ]
    )


def _group_starts(table: Table) -> set[int]:
    """The rows at which the first name changes, if several rows share a name."""
    groups = [row[0].text for row in table.rows]
    if len(set(groups)) == len(groups):
        return set()
    return {n for n in range(1, len(groups)) if groups[n] != groups[n - 1]}


def _anchor(number: int) -> str:
    return f"part-{number + 1}"


def _section(section: Section, anchor: str) -> str:
    return f'<section id="{anchor}"><h2>{escape(section.title)}</h2>\n{"".join(_blocks(section.blocks))}</section>'


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    """The blocks in order. Neighbouring figures share the width of the page."""
    row: list[str] = []
    for block in blocks:
        if isinstance(block, Figure):
            row.append(f"<figure>{block.svg}<figcaption>{escape(block.caption)}</figcaption></figure>")
            continue
        if row:
            yield _figures(row)
            row = []
        yield _block(block)
    if row:
        yield _figures(row)


def _figures(row: list[str]) -> str:
    return f'<div class="figures">{"".join(row)}</div>\n'


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return table_html(block) + "".join(f'<p class="note">{escape(note)}</p>\n' for note in block.notes)
    if isinstance(block, Bullets):
        items = "".join(f"<li>{escape(line)}</li>" for line in block.lines)
        return f"<ul{_warning(block.warning)}>{items}</ul>\n"
    if isinstance(block, Paragraph):
        return f"<p{_warning(block.warning)}>{escape(block.text)}</p>\n"
    assert isinstance(block, Disagreement)
    return _pair(block)


def _warning(is_one: bool) -> str:
    return ' class="warning"' if is_one else ""


def _row(row: tuple[Cell, ...], table: Table) -> Iterator[str]:
    for n, cell in enumerate(row):
        text = f"<strong>{escape(cell.text)}</strong>" if cell.best else escape(cell.text)
        if n < table.n_names:
            yield f'<th scope="row"{_LONG if len(cell.text) > _LONG_NAME else ""}>{text}</th>'
        else:
            yield f"<td{_NUMBER}>{text}</td>"


def _pair(pair: Disagreement) -> str:
    clip = pair.clip
    label = escape(f"sound of {pair.id}")
    sound = (
        f'<audio controls preload="none" aria-label="{label}" src="{escape(clip.uri)}"></audio>'
        if clip.uri
        else f'<p class="note">no sound here: {escape(clip.why_not)}</p>'
    )
    return (
        f'<article class="pair"><h3>{escape(pair.id)}</h3><p class="note">{escape(pair.facts)}</p><dl>'
        f'<dt>teacher</dt><dd lang="zh">{_stretches(pair.teacher)}</dd>'
        f'<dt>auxiliary</dt><dd lang="zh">{_stretches(pair.auxiliary)}</dd></dl>{sound}</article>\n'
    )


def _stretches(stretches: tuple[Stretch, ...]) -> str:
    """The transcript with the parts that only it contains marked, by colour and underline."""
    if not stretches:
        return '<span class="note">nothing</span>'
    return " ".join(escape(s.text) if s.is_shared else f"<mark>{escape(s.text)}</mark>" for s in stretches)
