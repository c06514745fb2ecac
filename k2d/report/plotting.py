"""Draw with matplotlib into SVG. The page sets the colours of text and lines, so light, dark and print all work."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # matplotlib takes a second to import, so it is imported only to draw
    from matplotlib.axes import Axes

# Distinguishable with colour blindness, on a light and on a dark background (after Okabe and Ito).
COLOURS = ("#1f86c9", "#d55e00", "#0a9b74", "#c96a9f", "#c88a00", "#7a6fd0", "#4aa8b8", "#9a7b4f")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

INK, RULE = "#010203", "#040506"  # placeholders, replaced by the page's colours when the SVG is written
_PAGE_COLOURS = {INK: "currentColor", RULE: "var(--rule, #ccc)"}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
}
_HEAD = re.compile(r".*?(?=<svg)", re.DOTALL)
_SIZE = re.compile(r'(<svg[^>]*?) width="[^"]*"', re.DOTALL), re.compile(r'(<svg[^>]*?) height="[^"]*"', re.DOTALL)
_META = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_GROUP_ID = re.compile(r'<g id="[^"]*"')
_FONT = re.compile(r"'DejaVu Sans', sans-serif|'DejaVu Sans'")


def drawn(draw: Callable[[Axes], None], label: str, *, height_in: float = 3.1) -> str:
    """The SVG of what `draw` draws on a pair of axes. `label` describes it for screen readers."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    buffer = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": label}):
        figure = Figure(figsize=(4.8, height_in), layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _for_page(buffer.getvalue(), label)


def colours_of(names: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(names, cycle(COLOURS), strict=False))


def markers_of(names: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(names, cycle(MARKERS), strict=False))


def legend_below(axes: Axes, columns: int = 3) -> None:
    """A legend below the axes, so that it covers no data."""
    axes.get_figure().legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=columns)  # type: ignore[union-attr]


def _for_page(svg: str, label: str) -> str:
    svg = _META.sub("", _HEAD.sub("", svg, count=1))
    for size in _SIZE:
        svg = size.sub(r"\1", svg, count=1)
    svg = _GROUP_ID.sub("<g", svg)  # ids would be the same in every figure of a page
    svg = _FONT.sub("system-ui, sans-serif", svg)
    for stand_in, colour in _PAGE_COLOURS.items():
        svg = svg.replace(stand_in, colour)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
