"""The plots of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from k2d.report.document import Figure
from k2d.report.plotting import INK, colours_of, drawn, legend_below, markers_of
from k2d.study.comparing import SHARES
from k2d.study.facts import LOGPROB, LOOPS, column_of
from k2d.study.judges import COMBINED, COMBINED_UNSUPERVISED, ORACLE, RANDOM
from k2d.study.judging import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def curve_figure(study: Study) -> Figure:
    """The label error of the most telling judges against the share of the hours."""
    metrics = [column_of(metric, study.terms.auxiliary) for metric in ("mer", "per", "composite")]
    wanted = (RANDOM, LOOPS, LOGPROB, *metrics, COMBINED_UNSUPERVISED, COMBINED, ORACLE)
    rows = {row.judge.name: row for row in study.rows}
    names = tuple(name for name in wanted if name in rows)
    colours = colours_of(tuple(name for name in names if name not in (RANDOM, ORACLE)))
    caption = "Label error of what each judge keeps, against the hours kept. Dotted: chance. Dashed: the oracle."

    def draw(axes: Axes) -> None:
        for name in names:
            errors = [100 * error for error in rows[name].curve]
            dash = {RANDOM: ":", ORACLE: "--"}.get(name, "-")
            axes.plot([100 * s for s in SHARES], errors, dash, color=colours.get(name, INK), label=name)
        axes.set(xlabel="hours kept (%)", ylabel="label error (%)", title="Label error at equal hours", xlim=(0, 100))
        axes.set_ylim(bottom=0)
        legend_below(axes)

    return Figure(drawn(draw, caption, height_in=3.7), caption)


def reliability_figure(study: Study) -> Figure:
    """Estimated against true error, for each judge that estimates it."""
    names = tuple(study.reliability)
    colours, markers = colours_of(names), markers_of(names)
    caption = "True against estimated error of groups of labels. Dashed: an estimate that is right."

    def draw(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], "--", color=INK, linewidth=0.9)
        for name in names:
            groups = [group for group in study.reliability[name].groups if group.n_chunks]
            points = [100 * g.estimated for g in groups], [100 * g.true for g in groups]
            axes.plot(*points, marker=markers[name], color=colours[name], label=name)
        axes.set(xlabel="estimated error (%)", ylabel="true error (%)", title="Reliability", xlim=(0, 100))
        axes.set_ylim(0, 100)
        legend_below(axes)

    return Figure(drawn(draw, caption, height_in=3.7), caption)
