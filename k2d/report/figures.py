"""The plots of a report with their captions, made from the stored results."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from typing import TYPE_CHECKING, Any

from k2d.core.layout import TEACHER, TEST_ROLES
from k2d.report.comparable import is_comparable, pooled, teacher_speed_up
from k2d.report.document import Figure
from k2d.report.plotting import COLOURS, INK, colours_of, drawn, legend_below, markers_of
from k2d.report.score_tables import ROLES
from k2d.report.stored import Experiment
from k2d.report.thresholds import DistanceSummary
from k2d.score.stored_row import Score
from k2d.select.metrics import METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Points = dict[str, tuple[float, float]]  # by system

ALPHAS = tuple(step / 50 for step in range(51))
# Composite and PER often have the same values. With these styles both lines are visible.
_METRIC_STYLES: tuple[dict[str, Any], ...] = (
    {"color": COLOURS[0], "linewidth": 1.5},
    {"color": COLOURS[4], "linewidth": 3.2},
    {"color": COLOURS[1], "linewidth": 1.3},
)
_BIN = 0.02
_N_BINS = 51  # the last bin has all distances of 1 or more


def cost_figures(experiment: Experiment) -> Iterator[Figure]:
    """The paper's Figure 1: the error of each system against its cost."""
    for role in TEST_ROLES:
        rates = {system: pooled(experiment, system, role) for system in experiment.systems}
        errors = {system: r.percent for system, r in rates.items() if r is not None and r.percent is not None}
        sets = experiment.sets(role)
        where = f"{ROLES[role]} ({', '.join(sets)}, counts added up)"
        sizes = {s: experiment.parameters[s] / 1e6 for s in errors if s in experiment.parameters}
        if len(sizes) > 1:
            points = {system: (sizes[system], errors[system]) for system in sizes}
            caption = f"MER on {where} against the number of parameters. Dashed: the teacher."
            yield _scatter(points, experiment.systems, "parameters (millions)", ROLES[role], caption)
        speeds = {s: factor for s in errors if (factor := teacher_speed_up(experiment, s).factor) is not None}
        if len(speeds) > 1:
            points = {system: (speeds[system], errors[system]) for system in speeds}
            caption = f"MER on {where} against speed. Dashed: the teacher."
            yield _scatter(points, experiment.systems, "speed (teacher = 1)", ROLES[role], caption)


def interval_figures(experiment: Experiment) -> Iterator[Figure]:
    """The MER of every system with its interval, one plot for each set."""
    for name in (n for role in ROLES for n in experiment.sets(role)):
        found = (experiment.scores.get((system, name)) for system in experiment.systems)
        scores = [score for score in found if score is not None and is_comparable(experiment, score)]
        levels = {f"{100 * s.interval.level:g} %" for s in scores if s.interval is not None}
        over = {s.interval.over for s in scores if s.interval is not None}
        if levels:
            caption = f"MER on {name} with {' or '.join(sorted(levels))} interval over {' or '.join(sorted(over))}."
            yield Figure(_intervals(scores, colours_of(experiment.systems), caption), caption)


def selection_figures(experiment: Experiment, default_alpha: float) -> Iterator[Figure]:
    """The share that each threshold would keep, the distribution of distances, and the reasons for dropping."""
    for auxiliary, distances in experiment.distances.items():
        if distances.n_chunks:
            yield _kept_against_alpha(distances, auxiliary, default_alpha)
            yield _histogram(distances, auxiliary, default_alpha)
    if experiment.selections:
        caption = "Hours that each method kept, and dropped by reason."
        yield Figure(_reasons(experiment, caption), caption)


def _scatter(points: Points, systems: tuple[str, ...], x_label: str, title: str, caption: str) -> Figure:
    colours, markers = colours_of(systems), markers_of(systems)

    def draw(axes: Axes) -> None:
        for system, (x, y) in points.items():
            colour = INK if system == TEACHER else colours[system]
            axes.plot(x, y, markers[system], color=colour, markersize=7, linestyle="none", label=system)
        if TEACHER in points:
            axes.axhline(points[TEACHER][1], color=INK, linestyle="--", linewidth=0.9)
        axes.set(xlabel=x_label, ylabel="MER (%)", title=title)
        axes.margins(y=0.15)
        axes.set_xlim(0, 1.1 * max(x for x, _ in points.values()))
        legend_below(axes)

    return Figure(drawn(draw, caption, height_in=3.5), caption)


def _intervals(scores: list[Score], colours: dict[str, str], caption: str) -> str:
    def draw(axes: Axes) -> None:
        for place, score in enumerate(scores):
            percent, colour = score.mer.percent, INK if score.model == TEACHER else colours[score.model]
            if percent is None:
                continue
            if score.interval is not None:
                axes.plot([score.interval.low, score.interval.high], [place, place], color=colour, linewidth=2)
            axes.plot(percent, place, "o", color=colour, markersize=6)
            if score.model == TEACHER:
                axes.axvline(percent, color=INK, linestyle="--", linewidth=0.9)
        axes.set(xlabel="MER (%)", title=scores[0].set)
        axes.set_yticks(range(len(scores)), [score.model for score in scores])
        axes.set_ylim(len(scores) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")

    return drawn(draw, caption, height_in=1.1 + 0.28 * len(scores))


def _kept_against_alpha(distances: DistanceSummary, auxiliary: str, default_alpha: float) -> Figure:
    caption = f"Share of the hours kept against the threshold α, by metric; auxiliary {auxiliary}. Dashed: the default."

    def draw(axes: Axes) -> None:
        for metric, style in zip(METRICS, cycle(_METRIC_STYLES), strict=False):
            shares = [100 * distances.kept_share(metric, alpha) for alpha in ALPHAS]
            axes.plot(ALPHAS, shares, label=METRICS[metric].title, **style)
        _mark_alpha(axes, default_alpha)
        axes.set(
            xlabel="threshold α", ylabel="hours kept (%)", title=f"Kept by α ({auxiliary})", ylim=(0, 102), xlim=(0, 1)
        )
        legend_below(axes)

    return Figure(drawn(draw, caption), caption)


def _histogram(distances: DistanceSummary, auxiliary: str, default_alpha: float) -> Figure:
    caption = (
        f"Distances of {distances.n_chunks:,} chunks to the auxiliary {auxiliary}, in hours per {_BIN:g}; the last bin "
        f"holds all from 1 on. Without a label, and not shown: {distances.n_empty:,}."
    )

    def draw(axes: Axes) -> None:
        edges = [_BIN * n for n in range(_N_BINS + 1)]
        for metric, style in zip(METRICS, cycle(_METRIC_STYLES), strict=False):
            axes.stairs(_binned_hours(distances, metric), edges, label=METRICS[metric].title, **style)
        _mark_alpha(axes, default_alpha)
        axes.set(xlabel="distance", ylabel="hours", title=f"Distances ({auxiliary})", xlim=(0, edges[-1]))
        axes.set_ylim(bottom=0)
        legend_below(axes)

    return Figure(drawn(draw, caption), caption)


def _binned_hours(distances: DistanceSummary, metric: str) -> list[float]:
    """
    >>> found = DistanceSummary(7200.0, 2, 0, {"mer": {0.04: 3600.0, 3.5: 3600.0}}, ())
    >>> [(n, hours) for n, hours in enumerate(_binned_hours(found, "mer")) if hours]
    [(2, 1.0), (50, 1.0)]
    """
    hours = [0.0] * _N_BINS
    for distance, seconds in distances.seconds_at[metric].items():
        # Distances are whole ten-thousandths. As integers, 0.06 does not fall into the bin below.
        hours[min(round(distance * 10_000) // round(_BIN * 10_000), _N_BINS - 1)] += seconds / 3600
    return hours


def _reasons(experiment: Experiment, caption: str) -> str:
    selections = list(experiment.selections.values())
    reasons = tuple(dict.fromkeys(("kept", *(reason for s in selections for reason in s.dropped))))
    colours = colours_of(reasons)

    def draw(axes: Axes) -> None:
        starts = [0.0] * len(selections)
        for reason in reasons:
            amounts = [s.kept if reason == "kept" else s.dropped.get(reason) for s in selections]
            hours = [0.0 if amount is None else amount.hours for amount in amounts]
            axes.barh(range(len(selections)), hours, left=starts, color=colours[reason], label=reason, height=0.62)
            starts = [start + h for start, h in zip(starts, hours, strict=True)]
        axes.set_yticks(range(len(selections)), [s.method for s in selections])
        axes.set_ylim(len(selections) - 0.5, -0.5)
        axes.set(xlabel="hours", title="Kept and dropped")
        axes.grid(visible=False, axis="y")
        legend_below(axes)

    return drawn(draw, caption, height_in=1.5 + 0.3 * len(selections))


def _mark_alpha(axes: Axes, alpha: float) -> None:
    axes.axvline(alpha, color=INK, linestyle="--", linewidth=0.9)
