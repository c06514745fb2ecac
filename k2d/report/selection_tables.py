"""Tables of stage 8: what each method kept, why it dropped the rest, and how well each validator judges."""

from __future__ import annotations

from k2d.report.document import NOTHING, Cell, Table, names
from k2d.report.result_rows import Recall, Selection, ValidatorStudy
from k2d.report.stored import Experiment
from k2d.report.wording import number, share
from k2d.select.metrics import METRICS


def selection_table(experiment: Experiment, caption: str) -> Table:
    """One row for each method: its rule, and the share of its input that it kept."""
    header = ("method", "rule", "α", "auxiliary", "also", "chunks in", "hours in", "chunks kept", "hours kept", "kept")
    rows = tuple(_selection(selection) for selection in experiment.selections.values())
    return Table(caption, header, rows, n_names=2, notes=("Kept: share of the hours.",))


def reasons_table(experiment: Experiment, caption: str) -> Table:
    """Why chunks were dropped. Kept and dropped must add up to the input; if they do not, a note reports it."""
    header = ("method", "reason", "chunks", "hours", "share of hours")
    rows = tuple(
        names(s.method, reason, f"{amount.chunks:,}", number(amount.hours), share(_part(amount.hours, s.n_in.hours)))
        for s in experiment.selections.values()
        for reason, amount in (("kept", s.kept), *s.dropped.items())
    )
    return Table(caption, header, rows, n_names=2, notes=tuple(map(_sum_fault, _unbalanced(experiment))))


def course_table(experiment: Experiment, caption: str) -> Table | None:
    """The hours kept by course and method, which shows whose lectures are lost. None if courses are unknown."""
    selections = list(experiment.selections.values())
    courses = sorted({course for s in selections for course in s.by_course})
    if not courses:
        return None
    header = ("course", "hours in", *(f"{s.method}: hours kept" for s in selections))
    rows = tuple(
        (Cell(course), Cell(_hours_in(selections, course)), *(Cell(_kept_of_course(s, course)) for s in selections))
        for course in courses
    )
    return Table(caption, header, rows)


def loops_table(experiment: Experiment, caption: str) -> Table:
    """How often the n-gram test found a loop in the label, in the opinion, and in both."""
    sides = list(dict.fromkeys(side for s in experiment.selections.values() for side in s.loops))
    rows = tuple(
        names(s.method, *(f"{s.loops[side]:,}" if side in s.loops else NOTHING for side in sides))
        for s in experiment.selections.values()
    )
    return Table(caption, ("method", *sides), rows)


def validator_table(experiment: Experiment, caption: str) -> Table:
    """The paper's Table 5: how many of the bad labels each validator finds, and its cost."""
    metrics = [m for m in METRICS if any(m in study.by_metric for study in experiment.studies.values())]
    header = (
        "validator",
        "hours of work",
        "on",
        "bad labels",
        *(f"max recall {METRICS[metric].title}" for metric in metrics),
        *(f"mean recall {METRICS[metric].title}" for metric in metrics),
    )
    rows = tuple(_study(study, metrics) for study in experiment.studies.values())
    limits = sorted({study.bad_label_mer for study in experiment.studies.values()})
    above = " or ".join(f"{limit:g}" for limit in limits)
    note = (
        f"A label is bad when its true MER is above {above}. Recall: the share of bad labels that a filter drops; max "
        "over the thresholds from 0.1 to 0.9, by hundredths, that keep over half of the data; mean over the tenths."
    )
    return Table(caption, header, rows, notes=(note,))


def _selection(selection: Selection) -> tuple[Cell, ...]:
    s = selection
    alpha = NOTHING if s.alpha is None else f"{s.alpha:g}"
    amounts = (f"{s.n_in.chunks:,}", number(s.n_in.hours), f"{s.kept.chunks:,}", number(s.kept.hours))
    also = ", ".join(s.also) or NOTHING
    return names(s.method, s.rule, alpha, s.auxiliary or NOTHING, also, *amounts, share(s.kept_share))


def _unbalanced(experiment: Experiment) -> list[Selection]:
    return [
        s
        for s in experiment.selections.values()
        if s.n_in.chunks != s.kept.chunks + sum(amount.chunks for amount in s.dropped.values())
    ]


def _sum_fault(s: Selection) -> str:
    n_told = s.kept.chunks + sum(amount.chunks for amount in s.dropped.values())
    return f"{s.method}: its record does not add up: in {s.n_in.chunks:,} chunks, kept and dropped {n_told:,}."


def _hours_in(selections: list[Selection], course: str) -> str:
    return next((number(s.by_course[course][0].hours) for s in selections if course in s.by_course), NOTHING)


def _kept_of_course(s: Selection, course: str) -> str:
    if course not in s.by_course:
        return NOTHING
    n_in, kept = s.by_course[course]
    return f"{number(kept.hours)} ({share(_part(kept.hours, n_in.hours))})"


def _study(study: ValidatorStudy, metrics: list[str]) -> tuple[Cell, ...]:
    cost = study.cost
    hours = None if cost is None else sum(cost.runs_s) / len(cost.runs_s) / 3600
    none = Recall(None, None)
    recalls = [study.by_metric.get(metric, none) for metric in metrics]
    return names(
        study.auxiliary,
        number(hours, 3),
        NOTHING if cost is None else cost.device,
        f"{study.n_bad:,} of {study.n_chunks:,}",
        *(number(recall.at_most) for recall in recalls),
        *(number(recall.mean) for recall in recalls),
    )


def _part(part: float, whole: float) -> float | None:
    return part / whole if whole else None
