"""Draws the README's figures into docs/images: road.svg (the stages) and results.svg (the figures of RESULTS.md).

    python tools/readme_figures.py

Both follow the reader's light or dark theme, and have a background for pages without themes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"

STYLE = """
  svg { --ground: #ffffff; --ink: #1d2329; --faint: #5b6672; --rule: #d5dae0; --panel: #f5f7f9;
        --accent: #0b62a8; --tint: #e3effa; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #14181c; --ink: #e4e8ec; --faint: #a0abb7; --rule: #3b444e; --panel: #1c2127;
          --accent: #7cbcf5; --tint: #17324a; } }
  text { font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: var(--ink); }
  .small { font-size: 11px; fill: var(--faint); }
  .strong { font-weight: 600; }
  .middle { text-anchor: middle; }
  .end { text-anchor: end; }
  .ground { fill: var(--ground); }
  .box { fill: var(--panel); stroke: var(--rule); }
  .model { fill: var(--tint); stroke: var(--accent); }
  .group { fill: none; stroke: var(--rule); stroke-dasharray: 4 3; }
  .line { fill: none; stroke: var(--faint); stroke-width: 1.4; }
  .arrow { marker-end: url(#head); }
  .head { fill: var(--faint); }
  .grid { stroke: var(--rule); }
  .teacher { stroke: var(--faint); stroke-dasharray: 3 3; }
  .range { stroke: var(--accent); stroke-width: 2; opacity: .55; }
  .dot { fill: var(--accent); }
  .control { fill: var(--faint); }
  .apart { fill: var(--ground); stroke: var(--faint); stroke-width: 1.5; }
"""


def drawing(width: int, height: int, title: str, parts: Iterator[str]) -> str:
    """An SVG document. Screen readers read `title`."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">'
    marker = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="head" d="M0 0 8 4 0 8z"/></marker>'
    )
    ground = f'<rect class="ground" width="{width}" height="{height}" rx="8"/>'
    lines = [head, f"<title>{escape(title)}</title>", f"<style>{STYLE}</style>", f"<defs>{marker}</defs>", ground]
    return "\n".join([*lines, *parts, "</svg>", ""])


def text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>'


# --- the road ---

BOX_WIDTH, BOX_HEIGHT, COLUMN = 134, 50, 154
COLUMNS = [262 + COLUMN * n for n in range(5)]
ROWS = [48, 158, 268]
PREPARE = (16, 94, 270)
"""The box of stage 1: left edge, width, height."""

STAGES = {  # number and verb: (column, row, output in short)
    "2 tokens": (0, 0, "vocabulary"),
    "3 teacher": (1, 0, "large model"),
    "4 auxiliary": (2, 0, "small model"),
    "9 init_student": (4, 0, "encoder + 2 layers"),
    "5 pseudo_label": (0, 1, "text with times"),
    "6 chunk": (1, 1, "one window each"),
    "7 second_opinion": (2, 1, "another text"),
    "8 select": (3, 1, "where both agree"),
    "10 distill": (4, 1, "students"),
    "11 decode": (0, 2, "test sets"),
    "12 score": (1, 2, "error rates"),
    "13 report": (2, 2, "tables, plots"),
    "14 export": (4, 2, "other libraries"),
}
MODELS = ("3 teacher", "4 auxiliary", "9 init_student", "10 distill")
SOURCES = ["labelled speech", "long recordings", "test sets"]


def road() -> Iterator[str]:
    left, width, height = PREPARE
    top, middle = ROWS[0], left + width / 2
    yield f'<rect class="box" x="{left}" y="{top}" width="{width}" height="{height}" rx="6"/>'
    yield text(middle, top + height / 2 - 4, "1 prepare", "middle strong")
    yield text(middle, top + height / 2 + 14, "any corpus", "middle small")
    size = f'width="{COLUMN + BOX_WIDTH + 16}" height="{BOX_HEIGHT + 16}"'
    yield f'<rect class="group" x="{COLUMNS[1] - 8}" y="{top - 8}" {size} rx="8"/>'
    for name, (column, row, made) in STAGES.items():
        yield from box(COLUMNS[column], ROWS[row], name, made)
    for row, source in enumerate(SOURCES):
        y = ROWS[row] + BOX_HEIGHT / 2
        yield arrow(left + width, y, COLUMNS[0], y)
        yield text((left + width + COLUMNS[0]) / 2, y - 8, source, "middle")
    yield text((left + width + COLUMNS[0]) / 2, ROWS[0] + BOX_HEIGHT / 2 + 17, "or ready models", "middle small")
    yield text((left + width + COLUMNS[0]) / 2, ROWS[1] + BOX_HEIGHT / 2 + 17, "without transcripts", "middle small")
    yield from connections()


def connections() -> Iterator[str]:
    """The arrows between stages: within each row, down the columns, and three that bend."""
    across = [(0, 0, -8), (0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0), (0, 2, 0), (1, 2, 0)]
    for column, row, short in across:
        y = ROWS[row] + BOX_HEIGHT / 2
        yield arrow(COLUMNS[column] + BOX_WIDTH, y, COLUMNS[column + 1] + short, y)
    for column, row in [(2, 0), (4, 0), (4, 1)]:
        x = COLUMNS[column] + BOX_WIDTH / 2
        yield arrow(x, ROWS[row] + BOX_HEIGHT, x, ROWS[row + 1])
    teacher, label, student = (COLUMNS[n] + BOX_WIDTH / 2 for n in (1, 0, 4))
    below, above = ROWS[0] + BOX_HEIGHT + 30, ROWS[0] - 24
    yield bent(f"M{teacher:g} {ROWS[0] + BOX_HEIGHT} V{below} H{label:g} V{ROWS[1]}")
    yield bent(f"M{teacher:g} {ROWS[0]} V{above} H{student:g} V{ROWS[0]}")
    below = ROWS[1] + BOX_HEIGHT + 30
    yield bent(f"M{student:g} {below} H{label:g} V{ROWS[2]}")
    yield text((COLUMNS[2] + COLUMNS[3] + BOX_WIDTH) / 2, below - 7, "every model", "middle small")


def box(x: float, y: float, name: str, made: str) -> Iterator[str]:
    kind = "model" if name in MODELS else "box"
    yield f'<rect class="{kind}" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
    yield text(x + BOX_WIDTH / 2, y + 21, name, "middle strong")
    yield text(x + BOX_WIDTH / 2, y + 38, made, "middle small")


def arrow(x1: float, y1: float, x2: float, y2: float) -> str:
    return bent(f"M{x1:g} {y1:g} L{x2:g} {y2:g}")


def bent(path: str) -> str:
    return f'<path class="line arrow" d="{path}"/>'


# --- the results ---

SETS = {  # sets of RESULTS.md, with their names in the README
    "mini/lectures_test": "unseen lectures",
    "mini/course_test": "unseen course",
    "mini/read_test": "read Mandarin",
    "mini/talk_test": "conversations",
}
SYSTEMS = {
    "teacher": "teacher",
    "kd_all": "student of all data",
    "kd_ngram": "n-gram filter",
    "k2d_mer": "K²D, MER",
    "k2d_per": "K²D, PER",
    "k2d_composite": "K²D, composite",
    "teacher_more-s1": "control: teacher trained on",
    "student_pool-s1": "control: student, pool alone",
    "teacher_ctc": "control: encoder alone (CTC)",
}
LABELS, PANEL, GAP, TOP, STEP = 204, 150, 26, 60, 24


@dataclass(frozen=True, slots=True)
class Rate:
    """A mixed error rate in %, with the lowest and highest over seeds."""

    mean: float
    low: float
    high: float


def rates_of(results: str) -> dict[str, dict[str, Rate]]:
    """Rates by system and set, from the tables of a RESULTS.md. Means over seeds, if there are several."""
    found: dict[str, dict[str, Rate]] = {}
    columns: list[str] = []
    for line in results.partition("## Confidence")[0].splitlines():
        cells = [cell.strip().replace("*", "") for cell in line.strip("|").split("|")]
        if cells[0] in ("system", "method"):
            columns = [cell.partition(" (")[0] for cell in cells]
        elif line.startswith("| ") and cells[0] in SYSTEMS:
            row = found.setdefault(cells[0], {})
            row |= {name: rate(cell) for name, cell in zip(columns, cells, strict=True) if name in SETS}
    return found


def rate(cell: str) -> Rate:
    """
    >>> rate("17.28 ± 3.93 (15.65 to 18.81)"), rate("44.76 (1.6)")
    (Rate(mean=17.28, low=15.65, high=18.81), Rate(mean=44.76, low=44.76, high=44.76))
    """
    mean = float(cell.split()[0])
    seeds = re.search(r"\(([\d.]+) to ([\d.]+)\)", cell)
    return Rate(mean, float(seeds[1]), float(seeds[2])) if seeds else Rate(mean, mean, mean)


def results() -> Iterator[str]:
    rates = rates_of((ROOT / "RESULTS.md").read_text(encoding="utf-8"))
    yield text(16, 24, "Mixed error rate (MER) in %, lower is better", "strong")
    for n, name in enumerate(SYSTEMS.values()):
        yield text(LABELS + 6, TOP + STEP * n + 24, name, "end")
    for n, (name, title) in enumerate(SETS.items()):
        yield from panel(LABELS + 20 + n * (PANEL + GAP), title, {s: rates[s][name] for s in SYSTEMS})
    y = TOP + STEP * len(SYSTEMS) + 34
    yield text(16, y, "Dots: mean of three seeds, bars: lowest to highest. Dashed: the teacher.", "small")
    yield text(16, y + 16, "Grey: one run each. Hollow: scored with another decoding (see RESULTS.md).", "small")


def panel(left: float, title: str, rates: dict[str, Rate]) -> Iterator[str]:
    """One test set: a row for each system, on its own scale."""
    low, high = min(r.low for r in rates.values()), max(r.high for r in rates.values())

    def place(value: float) -> float:
        return left + 4 + (value - low) / (high - low) * (PANEL - 42)

    bottom = TOP + STEP * len(rates) + 10
    yield text(left, TOP - 8, title, "strong")
    yield f'<line class="grid" x1="{left}" x2="{left + PANEL}" y1="{TOP}" y2="{TOP}"/>'
    x = place(rates["teacher"].mean)
    yield f'<line class="teacher" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
    for n, (system, found) in enumerate(rates.items()):
        y = TOP + STEP * n + 20
        if found.low < found.high:
            ends = f'x1="{place(found.low):.1f}" x2="{place(found.high):.1f}"'
            yield f'<line class="range" {ends} y1="{y}" y2="{y}"/>'
        yield f'<circle class="{kind_of(system)}" cx="{place(found.mean):.1f}" cy="{y}" r="4.5"/>'
        yield text(left + PANEL, y + 4, tenths(found.mean), "end small")


def tenths(value: float) -> str:
    """
    >>> tenths(16.15), tenths(16.25)  # as the README's table: halves go up
    ('16.2', '16.3')
    """
    return str(Decimal(str(value)).quantize(Decimal("0.1"), ROUND_HALF_UP))


def kind_of(system: str) -> str:
    if system.endswith("_ctc"):
        return "apart"
    return "dot" if system.startswith(("kd_", "k2d_")) else "control"


def figures() -> dict[str, str]:
    """The text of each figure, by the name of its file."""
    width = LABELS + 20 + len(SETS) * (PANEL + GAP)
    height = TOP + STEP * len(SYSTEMS) + 64
    return {
        "road.svg": drawing(1028, 336, "The fourteen stages of K2D, from corpora to a report and exports", road()),
        "results.svg": drawing(width, height, "Mixed error rates of RESULTS.md by system and test set", results()),
    }


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, content in figures().items():
        (IMAGES / name).write_text(content, encoding="utf-8")
        print(f"docs/images/{name}")
