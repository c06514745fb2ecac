"""The study as sections of a document."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from k2d.report.document import Block, Bullets, Cell, Paragraph, Section, Table, names
from k2d.report.wording import number, plural, share
from k2d.study.comparing import SHARES, Row
from k2d.study.judge_figures import curve_figure, reliability_figure
from k2d.study.judging import Study
from k2d.study.kind_tables import kinds_table
from k2d.study.ranking import BAD, ERRORS, SECONDS, WORDS
from k2d.study.reliability import Group, Reliability

_SHOWN_SHARES = (0.2, 0.4, 0.6, 0.8)
_RELIABILITY_NOTE = (
    "Means over true words. True: a label counts at most as many errors as its reference has words, which is what is "
    "estimated. Label error: all errors per true word."
)


def sections(study: Study, left_out: Sequence[str] = ()) -> Iterator[Section]:
    """The sections of the study. `left_out` has lines on what was not judged."""
    yield Section("About", tuple(_about(study, left_out)))
    yield Section("Judges at equal hours", (_judge_table(study), _ahead_table(study)))
    if (kinds := kinds_table(study)) is not None:
        yield Section("Kinds of errors", (kinds,))
    yield Section("Label error by the share of hours kept", (curve_figure(study), _curve_table(study)))
    yield Section("Estimated label error", tuple(_reliability_blocks(study)))


def known(value: float) -> float | None:
    """
    >>> known(0.5), known(math.nan)
    (0.5, None)
    """
    return None if math.isnan(value) else value


def _about(study: Study, left_out: Sequence[str]) -> Iterator[Paragraph | Bullets]:
    terms, total = study.terms, study.amounts.sum(axis=0)
    yield Paragraph(
        "Every judge gives each chunk a score, and the chunks with the lowest scores are kept, up to the hours that "
        f"{study.reference} keeps with α = {terms.alpha:g}. Chunks of equal score count in equal parts. So random is "
        "the expected value of a draw, and no figure depends on chance."
    )
    hours = f"{plural(len(study.chunks), 'chunk')}, {number(total[SECONDS] / 3600)} hours"
    interval = f"{100 * terms.draws.level:g} % intervals: {terms.draws.resamples:,} draws of whole recordings"
    bad = share(float(total[BAD]) / len(study.chunks))
    error = share(known(float(total[ERRORS] / total[WORDS]))) if total[WORDS] else "not defined"
    yield Bullets(
        (
            f"{hours} of {plural(study.n_recordings, 'recording')}; label error of all: {error}",
            f"a label is bad if its true MER is above {terms.bad_label_mer:g}: {bad} of the labels are",
            f"{interval}; fitted judges are not fitted again for a draw",
            *study.notes,
            *left_out,
        )
    )


def _judge_table(study: Study) -> Table:
    """The figures of each judge. The best of those that do not know the truth are bold."""
    header = ("judge", "uses", "label error", "interval", "recall of bad", "interval", "precision", "area", "interval")
    blind = [row for row in study.rows if not row.judge.is_oracle]
    best = [_best(blind, at, is_low=at == 0) for at in range(4)]

    def line(row: Row) -> tuple[Cell, ...]:
        cells = [
            Cell(share(known(row.figures[at])), not row.judge.is_oracle and row.figures[at] == best[at])
            for at in range(3)
        ]
        area = Cell(number(known(row.figures.area), 3), not row.judge.is_oracle and row.figures.area == best[3])
        between = [Cell(_interval(row, at)) for at in (0, 1)]
        spans = (cells[0], between[0], cells[1], between[1], cells[2], area, Cell(_interval(row, 3)))
        return (*names(row.judge.name, row.judge.uses), *spans)

    hours = number(study.kept_hours)
    notes = (
        f"Label error: true errors per true word in the {hours} hours kept. Recall: share of the bad labels that is "
        "dropped. Precision: share of bad labels among those dropped. Area: probability that a bad label is judged "
        "worse than a good one. Bold: the best judge, without the oracle.",
    )
    return Table("What each judge keeps", header, tuple(map(line, study.rows)), n_names=2, notes=notes)


def _best(rows: Sequence[Row], at: int, *, is_low: bool) -> float:
    found = [row.figures[at] for row in rows if not math.isnan(row.figures[at])]
    return (min if is_low else max)(found, default=math.nan)


def _ahead_table(study: Study) -> Table:
    header = ("judge", "label error", "interval", "recall of bad", "interval", "area", "interval")
    rows = tuple(
        names(
            row.judge.name, *(text for at in (0, 1, 3) for text in (_points(row.ahead[at]), _points_between(row, at)))
        )
        for row in study.rows
        if row.judge.name != study.reference
    )
    notes = (
        "In points (hundredths). A judge is ahead if its label error is lower, and its recall and area are higher.",
    )
    return Table(f"Each judge minus {study.reference}, in the same draws", header, rows, notes=notes)


def _curve_table(study: Study) -> Table:
    header = ("judge", *(f"{100 * shown:.0f} % kept" for shown in _SHOWN_SHARES))
    places = [min(range(len(SHARES)), key=lambda at: abs(SHARES[at] - shown)) for shown in _SHOWN_SHARES]
    rows = tuple(names(row.judge.name, *(share(known(row.curve[at])) for at in places)) for row in study.rows)
    return Table("Label error at shares of the hours", header, rows)


def _reliability_blocks(study: Study) -> Iterator[Block]:
    yield Paragraph(
        "These judges estimate the error of each label, so a limit on the error can be asked for. The estimate of "
        "combined is fitted on truth. That of combined_unsupervised is on the scale of the distances, which hold the "
        "auxiliary's errors, too: use it to rank, not as an error."
    )
    yield reliability_figure(study)
    for name, found in study.reliability.items():
        yield _group_table(name, found)
        yield _limit_table(name, found, float(study.amounts[:, SECONDS].sum()))


def _group_table(name: str, found: Reliability) -> Table:
    header = ("estimate", "chunks", "hours", "estimated", "true", "label error")
    rows = tuple(names(f"{g.low:g} to {g.high:g}", *_group_cells(g)) for g in found.groups if g.n_chunks)
    gap = f"Mean gap between estimated and true: {100 * found.mean_gap:.1f} points. {_RELIABILITY_NOTE}"
    return Table(f"Reliability of {name}", header, rows, notes=(gap,))


def _limit_table(name: str, found: Reliability, total_s: float) -> Table:
    header = ("highest estimate", "chunks", "hours", "estimated", "true", "label error", "share of hours")
    rows = tuple(names(f"{g.high:g}", *_group_cells(g), share(g.seconds / total_s)) for g in found.limits if g.n_chunks)
    return Table(f"What a limit on the estimate of {name} keeps", header, rows)


def _group_cells(group: Group) -> tuple[str, ...]:
    errors = (share(known(value)) for value in (group.estimated, group.true, group.label_error))
    return f"{group.n_chunks:,}", number(group.seconds / 3600), *errors


def _interval(row: Row, at: int) -> str:
    if row.low is None or row.high is None or math.isnan(row.low[at]):
        return number(None)
    decimals, times = (3, 1) if at == 3 else (1, 100)
    return f"{number(times * row.low[at], decimals)} to {number(times * row.high[at], decimals)}"


def _points(value: float) -> str:
    return number(None) if math.isnan(value) else f"{100 * value:+.1f}".replace("-", "−")


def _points_between(row: Row, at: int) -> str:
    if row.ahead_low is None or row.ahead_high is None or math.isnan(row.ahead_low[at]):
        return number(None)
    return f"{_points(row.ahead_low[at])} to {_points(row.ahead_high[at])}"
