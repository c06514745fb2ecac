"""Stage 13: write RESULTS.md and report.html from stored scores and selection records."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from k2d.config import settings_of
from k2d.core.atomic import write_text
from k2d.core.layout import TEST_ROLES
from k2d.pipeline.job import Counts, Job, Settings, Unit
from k2d.report import stored
from k2d.report.contents import sections
from k2d.report.disagreements import Tokens, pairs
from k2d.report.document import Paragraph, Section
from k2d.report.markdown import markdown
from k2d.report.origins import origin_settings
from k2d.report.page import page
from k2d.report.publish import RESULTS
from k2d.report.significance import significance_table
from k2d.report.stored import Experiment, read_experiment
from k2d.text.normalise import Normaliser
from k2d.text.tokenise import token_texts

VERSION = 2
PAGE = "report.html"

# The results on which a report is based.
_RESULTS = (
    stored.score_files,
    stored.speed_files,
    stored.study_files,
    stored.selection_files,
    stored.distance_files,
    stored.parameter_files,
    stored.training_files,
)

log = logging.getLogger("k2d")


def units(job: Job) -> list[Unit[Settings]]:
    """The report is one folder. It is made again when any result behind it changes."""
    files = sorted(chain.from_iterable(find(job.layout.exp) for find in _RESULTS))
    return [Unit(job.layout.report, Settings(_settings(job)), tuple(files), is_disposable=True)]


def _settings(job: Job) -> dict[str, Any]:
    """What determines the report besides the results: the systems and sets of the config, in order."""
    config = job.config
    return {
        "report": settings_of(config.report),
        "roles": config.corpora.roles(),
        "systems": stored.expected_systems(config),
        "auxiliaries": list(config.auxiliaries),
        "alpha": config.select.alpha,
        "script": config.select.script,
        **origin_settings(config),
    }


def make(unit: Unit[Settings], job: Job, folder: Path) -> Counts:
    """Write both forms of the report."""
    experiment = read_experiment(job.config, job.layout)
    title = job.config.report.title or f"Results of {job.config.name}"
    sets = experiment.sets(*TEST_ROLES)
    differences = significance_table(job.layout.exp, job.config, sets, "Differences, and whether they are real")
    tables = list(sections(experiment, job.config, differences))
    sounds = list(_listening(experiment, job))
    hint = Paragraph("Plots, and the worst disagreements to listen to, are in report.html beside this file.")
    write_text(folder / RESULTS, markdown(title, [Section("About", (hint,)), *tables]))
    write_text(folder / PAGE, page(title, [*tables, *sounds]))
    for line in experiment.missing:
        log.warning("%s", line)
    n = len(experiment.scores)
    return Counts(n, n, what="scores")


def _listening(experiment: Experiment, job: Job) -> Iterator[Section]:
    """The worst disagreements with the first auxiliary that has distances."""
    for auxiliary, distances in list(experiment.distances.items())[:1]:
        found = pairs(distances.worst, auxiliary, job.layout, _tokens(job))
        n_silent = sum(not pair.clip.uri for pair in found)
        intro = (
            f"The chunks with the largest MER between the teacher and {auxiliary}. Three kinds take turns: the teacher "
            "loops, only the auxiliary loops, neither loops. Texts are normalised. Words that only one side has are "
            f"marked and underlined. Chunks with an empty side are not listed. {len(found)} are shown, "
            f"{n_silent} of them without sound."
        )
        yield Section("Worst disagreements", (Paragraph(intro), *found))


def _tokens(job: Job) -> Tokens:
    normalise = Normaliser(script=job.config.select.script, steps=job.config.select.steps)
    return lambda text: token_texts(normalise(text))
