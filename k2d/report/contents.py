"""The contents of a report, section by section."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from k2d.config import Config
from k2d.core.layout import PROJECT_ROOT, SCORED_ROLES, TEACHER, TEST_ROLES
from k2d.report.comparable import pooled, teacher_speed_up
from k2d.report.document import Block, Bullets, Paragraph, Section, Table, names
from k2d.report.figures import cost_figures, interval_figures, selection_figures
from k2d.report.origins import origins
from k2d.report.score_tables import (
    ROLES,
    interval_table,
    invention_table,
    kinds_table,
    language_table,
    mer_table,
    parts_table,
    signature_notes,
    speed_notes,
    speed_table,
    term_table,
)
from k2d.report.seed_tables import seeds_table
from k2d.report.selection_tables import (
    course_table,
    loops_table,
    reasons_table,
    selection_table,
    validator_table,
)
from k2d.report.stored import Experiment
from k2d.report.trainings import training_figures, training_table
from k2d.report.wording import number, share, times
from k2d.score.rates import reduction

_READING = (
    "MER in %: errors per 100 reference tokens, a Han character or a word each; in brackets the reduction against the "
    "teacher in % of its MER, better when positive. Bold: the lowest of a set. Data kept: share of the hours that the "
    "student learned from."
)


def sections(experiment: Experiment, config: Config, differences: Table | None = None) -> Iterator[Section]:
    """The report's sections. Empty sections are left out."""
    sets = experiment.sets(*TEST_ROLES)
    yield Section("Summary", tuple(_summary(experiment, config, sets)))
    yield Section("Mixed error rate (Table 2)", tuple(_errors(experiment, sets)))
    if sets and (seeds := seeds_table(experiment, sets, "Mean MER of each method over its seeds")) is not None:
        yield Section("Over seeds", (seeds,))
    yield Section("Error against cost (Figure 1)", tuple(cost_figures(experiment)))
    yield Section("Confidence", tuple(_intervals(experiment, sets)))
    if differences is not None:
        yield Section("Significance", (differences,))
    yield Section("Mandarin and English (Table 3)", tuple(_languages(experiment, sets)))
    if sets:
        yield Section("Kinds of errors (Table 4)", (kinds_table(experiment, sets, "Errors by kind, hallucinations"),))
        yield Section("Parts of the sets", (parts_table(experiment, sets, "Mixed and monolingual utterances"),))
    if silent := experiment.sets_without_speech(*SCORED_ROLES):
        yield Section("Without speech", (invention_table(experiment, silent, "Words written where nobody speaks"),))
    yield Section("Speed", tuple(_speed(experiment)))
    yield Section("Selection", tuple(_selection(experiment, config)))
    if experiment.studies:
        yield Section(
            "Validators (Table 5)", (validator_table(experiment, "How well each auxiliary finds bad labels"),)
        )
    if experiment.trainings:
        figures = training_figures(experiment.trainings)
        yield Section("Training", (training_table(experiment.trainings), *figures))
    yield Section("Signatures", tuple(signatures(experiment)))
    yield Section("Commands", tuple(_commands(experiment)))


def _summary(experiment: Experiment, config: Config, sets: Sequence[str]) -> Iterator[Block]:
    if lines := (*_findings(experiment), *origins(config)):
        yield Bullets(lines)
    if not experiment.scores and not experiment.roles:
        yield Paragraph(
            "The config names no test set (corpora), so this report does not show how good they are.",
            warning=True,
        )
    elif not experiment.scores:
        yield Paragraph("There are no scores yet: run stages 11 and 12.", warning=True)
    if unlike := tuple(signature_notes(experiment, [*experiment.sets("dev"), *sets])):
        yield Bullets(unlike, warning=True)
    if experiment.missing:
        yield Bullets(experiment.missing, warning=True)


def _findings(experiment: Experiment) -> Iterator[str]:
    """A sentence with the best system for each role of sets. The counts of the sets are added."""
    for role in TEST_ROLES:
        rates = {system: pooled(experiment, system, role) for system in experiment.systems}
        percents = {s: r.percent for s, r in rates.items() if r is not None and r.percent is not None}
        if not percents:
            continue
        best = min(percents, key=lambda system: percents[system])
        text = (
            f"{ROLES[role]} ({', '.join(experiment.sets(role))}): {best} has the lowest MER, {number(percents[best])} %"
        )
        teacher, winner = rates.get(TEACHER), rates[best]
        if best != TEACHER and teacher is not None and winner is not None:
            gain = reduction(teacher, winner)
            percent = number(None if gain is None else gain.percent, 1)
            text += f"; the teacher has {number(teacher.percent)} % (reduction {percent} %)"
        yield f"{text}{_costs(experiment, best)}."


def _costs(experiment: Experiment, system: str) -> str:
    """The cost of a student, as far as it is known."""
    if system == TEACHER:
        return ""
    text, speed, selection = "", teacher_speed_up(experiment, system).factor, experiment.selection_behind(system)
    if speed is not None:
        text += f"; {times(speed)} the teacher's speed"
    mine, teachers = (experiment.parameters.get(name) for name in (system, TEACHER))
    if mine and teachers:
        text += f"; {share(mine / teachers)} of its parameters"
    if selection is not None:
        text += f"; learned from {share(selection.kept_share)} of the hours"
    return text


def _errors(experiment: Experiment, sets: Sequence[str]) -> Iterator[Block]:
    if experiment.scores:
        yield Paragraph(f"{_READING} {' '.join(speed_notes(experiment))}")
    if sets:
        yield mer_table(experiment, sets, "Test sets")
    if dev := experiment.sets("dev"):
        yield mer_table(experiment, dev, "Development sets (everything that is tuned is tuned here)")


def _intervals(experiment: Experiment, sets: Sequence[str]) -> Iterator[Block]:
    if sets:
        yield from interval_figures(experiment)
        yield interval_table(experiment, sets, "Intervals of the MER")


def _languages(experiment: Experiment, sets: Sequence[str]) -> Iterator[Block]:
    if sets:
        yield language_table(
            experiment,
            sets,
            "split",
            "Split: CER and WER in %, each language filtered out and aligned alone (the paper)",
        )
        yield language_table(
            experiment,
            sets,
            "joint",
            "Joint: CER and WER in %, one alignment, an error belongs to its token's language",
        )
        if (terms := term_table(experiment, sets, "Recall of English terms")) is not None:
            yield terms


def _speed(experiment: Experiment) -> Iterator[Block]:
    for caption, batched in (("Real-time factors", False), ("Real-time factors, batched", True)):
        if (table := speed_table(experiment, experiment.sets(*ROLES), caption, batched=batched)) is not None:
            yield table


def _selection(experiment: Experiment, config: Config) -> Iterator[Block]:
    if experiment.selections:
        yield selection_table(experiment, "What each method kept")
        yield reasons_table(experiment, "Kept, and dropped by reason")
        if (courses := course_table(experiment, "By course")) is not None:
            yield courses
        yield loops_table(experiment, "Chunks whose text loops (n-gram test)")
    yield from selection_figures(experiment, config.select.alpha)


def signatures(experiment: Experiment) -> Iterator[Block]:
    """How the scores and the selections were made."""
    scored: dict[tuple[str, str], list[str]] = {}
    for name in experiment.roles:
        for system in experiment.systems:
            if (score := experiment.scores.get((system, name))) is not None:
                scored.setdefault((name, score.signature), []).append(system)
    if scored:
        yield Paragraph("Scores can be compared if their signatures are equal.")
        rows = tuple(names(name, ", ".join(who), signature) for (name, signature), who in scored.items())
        yield Table("How the scores were made", ("set", "systems", "signature"), rows, n_names=3)
    selected: dict[str, list[str]] = {}
    for selection in experiment.selections.values():
        selected.setdefault(selection.signature, []).append(selection.method)
    if selected:
        rows = tuple(names(", ".join(methods), signature) for signature, methods in selected.items())
        yield Table("How the texts were compared in selection", ("methods", "signature"), rows, n_names=2)


def _commands(experiment: Experiment) -> Iterator[Block]:
    """The commands behind the finished folders, each one once."""
    spent: dict[tuple[str, str, str], list[float]] = {}
    for _, stamp in experiment.stamps:
        made = stamp.made
        command = str(made.get("command", "")).replace(f"{PROJECT_ROOT}/", "")
        key = (stamp.recipe.stage, f"python -m k2d {command}", str(made.get("k2d", "")))
        spent.setdefault(key, []).append(float(made.get("duration_s", 0)))
    if spent:
        header = ("stage", "command", "K2D", "folders", "seconds")
        rows = tuple(names(*key, f"{len(s):,}", number(sum(s), 1)) for key, s in sorted(spent.items()))
        yield Table("What made the results", header, rows, n_names=2)
