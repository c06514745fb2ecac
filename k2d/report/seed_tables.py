"""Methods over their seeds: the mean, the spread, and the confidence interval of the mean."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from k2d.core.layout import TEACHER
from k2d.report.comparable import is_comparable
from k2d.report.document import NOTHING, Cell, Table
from k2d.report.score_tables import titled
from k2d.report.stored import Experiment, method_of
from k2d.report.wording import number

# Student's t at 97.5 % for 1 to 9 degrees of freedom, that is for two to ten seeds.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def seeds_table(experiment: Experiment, sets: Sequence[str], caption: str) -> Table | None:
    """The mean MER of each method's students ± half of its 95 % interval. None if no method has two seeds."""
    systems = _by_method(experiment)
    if not systems:
        return None
    rows = [(TEACHER, 1, [_percents(experiment, [TEACHER], name) for name in sets])]
    rows += [(m, len(s), [_percents(experiment, s, name) for name in sets]) for m, s in systems.items()]
    means = [[statistics.mean(found) if found else math.inf for found in row[2]] for row in rows]
    best = [min(column) for column in zip(*means, strict=True)]
    cells = tuple(
        (Cell(method), Cell(f"{n}"), *(_cell(f, m <= b) for f, m, b in zip(found, row, best, strict=True)))
        for (method, n, found), row in zip(rows, means, strict=True)
    )
    note = "± is half the 95 % interval of the mean over seeds (Student's t); in brackets the lowest and the highest."
    return Table(caption, ("method", "seeds", *(titled(experiment, name) for name in sets)), cells, notes=(note,))


def _by_method(experiment: Experiment) -> dict[str, list[str]]:
    """The students of each method that has more than one."""
    found: dict[str, list[str]] = {}
    for system in experiment.systems:
        if method_of(system) != system:
            found.setdefault(method_of(system), []).append(system)
    return {method: systems for method, systems in found.items() if len(systems) > 1}


def _percents(experiment: Experiment, systems: Sequence[str], name: str) -> list[float]:
    scores = (experiment.scores.get((system, name)) for system in systems)
    comparable = (score for score in scores if score is not None and is_comparable(experiment, score))
    return [score.mer.percent for score in comparable if score.mer.percent is not None]


def _cell(percents: Sequence[float], is_best: bool) -> Cell:
    if not percents:
        return Cell(NOTHING)
    mean = number(statistics.mean(percents))
    if len(percents) == 1:
        return Cell(mean, is_best)
    degrees = min(len(percents) - 1, len(_T))
    half = _T[degrees - 1] * statistics.stdev(percents) / math.sqrt(len(percents))
    return Cell(f"{mean} ± {number(half)} ({number(min(percents))} to {number(max(percents))})", is_best)
