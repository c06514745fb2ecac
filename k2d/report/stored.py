"""Find and read the stored results of an experiment. Missing or unreadable ones are logged and skipped."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from k2d.config import Config
from k2d.core.errors import K2DError
from k2d.core.layout import (
    DISTANCES,
    MODELS,
    RECORD,
    REPORT,
    SCORED_ROLES,
    SCORES,
    SELECTIONS,
    SPEEDS,
    TEACHER,
    VALIDATOR,
    Layout,
    shown,
)
from k2d.core.stamp import STAMP, Stamp, read_stamp
from k2d.report.result_rows import Selection, ValidatorStudy, selection_of, study_of
from k2d.report.thresholds import DistanceSummary, summed_up
from k2d.report.trainings import CURVES, Training, read_loss, training_of
from k2d.score.store import CTC_ROW
from k2d.score.stored_row import Score, score_of
from k2d.score.timing import BATCHED, SINGLE, SPEED, RealTimeFactor, Speeds, speeds_of
from k2d.select.table_files import read_distances

_SEED = re.compile(r"-s\d+$")

ResultRow = TypeVar("ResultRow")


@dataclass(frozen=True, slots=True)
class Experiment:
    """All contents of a report, by name. Systems, sets and methods are in the order of the config."""

    roles: Mapping[str, str]
    """The role of each set that is decoded, by set."""
    systems: tuple[str, ...]
    scores: Mapping[tuple[str, str], Score]
    """By system and set."""
    speeds: Mapping[str, Speeds]
    """By set, way of decoding and system."""
    parameters: Mapping[str, int]
    selections: Mapping[str, Selection]
    studies: Mapping[str, ValidatorStudy]
    distances: Mapping[str, DistanceSummary]
    trainings: tuple[Training, ...]
    """The trainings of all models that were trained here."""
    stamps: tuple[tuple[str, Stamp], ...]
    """The stamps of all finished folders, by name."""
    missing: tuple[str, ...]
    """What the config asks for and has not been made yet."""

    def sets(self, *roles: str) -> list[str]:
        """The sets of these roles that have at least one score, and words to recognise."""
        scored = {name for (_, name), score in self.scores.items() if score.mer.n or not score.invention}
        return [name for name, role in self.roles.items() if role in roles and name in scored]

    def sets_without_speech(self, *roles: str) -> list[str]:
        """The sets of these roles that have a score, but no words in their references."""
        scored = {name for (_, name), score in self.scores.items() if score.invention and not score.mer.n}
        return [name for name, role in self.roles.items() if role in roles and name in scored]

    def speed(self, system: str, set_name: str, *, batched: bool = False) -> RealTimeFactor | None:
        """The speed of a system on a set. None if it was not measured."""
        found = self.speeds.get(set_name, {}).get(BATCHED if batched else SINGLE, {})
        return found.get(system)

    @property
    def has_batched_speeds(self) -> bool:
        return any(found[BATCHED] for found in self.speeds.values())

    def selection_behind(self, system: str) -> Selection | None:
        """The selection that a student learned from."""
        return self.selections.get(method_of(system))


def method_of(system: str) -> str:
    """
    >>> method_of("k2d_composite-s1"), method_of("teacher")
    ('k2d_composite', 'teacher')
    """
    return _SEED.sub("", system)


@dataclass
class Shelf:
    """Reads files one after another and records those that could not be read."""

    unreadable: list[str] = field(default_factory=list)

    def read(self, path: Path, stage: int, of: Callable[[Any], ResultRow]) -> ResultRow | None:
        """A JSON file as a row. If it is damaged, None, and a message is recorded."""
        try:
            return of(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            what = f"{shown(path)}: cannot be read ({type(problem).__name__}: {problem})"
            self.unreadable.append(f"{what}; make it again: ./run.sh --stage {stage} --stop-stage {stage} --force")
            return None

    def rows(self, paths: list[Path], stage: int, of: Callable[[Any], ResultRow]) -> Iterator[tuple[Path, ResultRow]]:
        for path in sorted(paths):
            if (row := self.read(path, stage, of)) is not None:
                yield path, row


def read_experiment(config: Config, layout: Layout) -> Experiment:
    """Read all results that exist."""
    shelf, exp = Shelf(), layout.exp
    scores = {(row.model, row.set): row for _, row in shelf.rows(score_files(exp), 12, score_of)}
    selections = {row.method: row for _, row in shelf.rows(selection_files(exp), 8, selection_of)}
    studies = {row.auxiliary: row for _, row in shelf.rows(study_files(exp), 12, study_of)}
    parameters = dict(_parameters(exp, shelf))
    distances = dict(_distances(exp, config, shelf))
    trainings = {row.model: row for row in _trainings(exp, shelf)}
    in_order = [TEACHER, *config.auxiliaries, *expected_systems(config)[1:]]
    stamps = tuple(_stamps(exp, shelf))
    timed = list(shelf.rows(speed_files(exp), 11, speeds_of))
    missing = [*_missing_scores(config, scores), *_missing_parameters(scores, parameters)]
    missing += _missing_others(config, selections, studies, distances)
    return Experiment(
        roles=_roles(config, scores),
        systems=_in_order({model for model, _ in scores}, expected_systems(config)),
        scores=scores,
        speeds={path.parent.relative_to(exp / SPEEDS).as_posix(): speeds for path, speeds in timed},
        parameters=parameters,
        selections={name: selections[name] for name in _in_order(set(selections), list(config.select.methods))},
        studies={name: studies[name] for name in _in_order(set(studies), list(config.auxiliaries))},
        distances=distances,
        trainings=tuple(trainings[name] for name in _in_order(set(trainings), in_order)),
        stamps=stamps,
        missing=(*missing, *shelf.unreadable),
    )


def score_files(exp: Path) -> list[Path]:
    return [path for path in exp.glob(f"{SCORES}/*/*/*/score.json") if _is_published(path, exp)]


def selection_files(exp: Path) -> list[Path]:
    return [path for path in exp.glob(f"{SELECTIONS}/*/{RECORD}") if _is_published(path, exp)]


def speed_files(exp: Path) -> list[Path]:
    return [path for path in exp.glob(f"{SPEEDS}/*/*/{SPEED}") if _is_published(path, exp)]


def study_files(exp: Path) -> list[Path]:
    found = exp.glob(f"{SCORES}/{VALIDATOR}/*.json")
    return [path for path in found if path.name != STAMP and _is_published(path, exp)]


def distance_files(exp: Path) -> list[Path]:
    """The tables of all auxiliaries. Without one, stage 8 writes a table to a folder whose name starts with `_`."""
    return [path for path in exp.glob(f"{SELECTIONS}/{DISTANCES}/[!_]*/distances.tsv") if _is_published(path, exp)]


def parameter_files(exp: Path) -> list[Path]:
    return [path for path in exp.glob(f"{MODELS}/*/params.json") if _is_published(path, exp)]


def training_files(exp: Path) -> list[Path]:
    return [path for path in exp.glob(f"{MODELS}/*/training.json") if _is_published(path, exp)]


def expected_systems(config: Config) -> list[str]:
    """The systems that the table must have: the teacher and the models that stage 10 trains."""
    return [TEACHER, *config.students()]


def _is_published(path: Path, exp: Path) -> bool:
    """Whether all folders of the path are complete, and none is being made or replaced."""
    return not any(part.startswith(".") for part in path.relative_to(exp).parts)


def _parameters(exp: Path, shelf: Shelf) -> Iterator[tuple[str, int]]:
    """The numbers of parameters. A model that is decoded by CTC alone does not use its decoder."""
    for path, counts in shelf.rows(parameter_files(exp), 10, lambda raw: (int(raw["total"]), raw.get("decoder", 0))):
        yield path.parent.name, counts[0]
        yield f"{path.parent.name}{CTC_ROW}", counts[0] - int(counts[1])


def _trainings(exp: Path, shelf: Shelf) -> Iterator[Training]:
    for path in sorted(training_files(exp)):
        curves = path.with_name(CURVES)
        try:
            loss = read_loss(curves) if curves.is_file() else []
        except (OSError, ValueError, KeyError, TypeError) as problem:
            shelf.unreadable.append(f"{shown(curves)}: cannot be read ({problem})")
            loss = []
        model = path.parent.name
        row = shelf.read(path, 10, functools.partial(training_of, model=model, loss=loss))
        if row is not None:
            yield row


def _distances(exp: Path, config: Config, shelf: Shelf) -> Iterator[tuple[str, DistanceSummary]]:
    found = {path.parent.name: path for path in distance_files(exp)}
    for auxiliary in _in_order(set(found), list(config.auxiliaries)):
        try:
            yield auxiliary, summed_up(read_distances(found[auxiliary]), config.report.worst_disagreements)
        except (K2DError, OSError, ValueError) as problem:
            shelf.unreadable.append(str(problem))


def _stamps(exp: Path, shelf: Shelf) -> Iterator[tuple[str, Stamp]]:
    for path in sorted(exp.rglob(STAMP)):
        name = path.parent.relative_to(exp)
        if not _is_published(path, exp) or name.parts[:1] == (REPORT,):
            continue
        try:
            stamp = read_stamp(path.parent)
        except K2DError as problem:
            shelf.unreadable.append(str(problem))
            continue
        if stamp is not None:
            yield name.as_posix(), stamp


def _roles(config: Config, scores: Mapping[tuple[str, str], Score]) -> dict[str, str]:
    """The role of each set: from the config, or out of domain for sets added by --corpus."""
    roles = {name: role for name, role in config.corpora.roles().items() if role in SCORED_ROLES}
    for score in scores.values():
        roles.setdefault(score.set, score.role if score.role in SCORED_ROLES else "out_domain")
    return roles


def _in_order(found: set[str], expected: list[str]) -> tuple[str, ...]:
    known = [name for name in expected if name in found]
    return (*known, *sorted(found.difference(expected)))


def _missing_scores(config: Config, scores: Mapping[tuple[str, str], Score]) -> Iterator[str]:
    """Missing scores. Systems that lack the same sets share a line."""
    sets = [*config.corpora.dev, *config.corpora.in_domain, *config.corpora.out_domain]
    without: dict[tuple[str, ...], list[str]] = {}
    for system in expected_systems(config):
        if lacking := tuple(name for name in sets if (system, name) not in scores):
            without.setdefault(lacking, []).append(system)
    for lacking, systems in without.items():
        where = "" if len(lacking) == len(sets) else f" on {', '.join(lacking)}"
        yield f"not there yet: scores of {', '.join(systems)}{where} (stage 12)"


def _missing_parameters(scores: Mapping[tuple[str, str], Score], parameters: Mapping[str, int]) -> Iterator[str]:
    if unknown := sorted({model for model, _ in scores} - set(parameters)):
        yield f"not there yet: the number of parameters of {', '.join(unknown)} (models/<model>/params.json)"


def _missing_others(
    config: Config,
    selections: Mapping[str, Selection],
    studies: Mapping[str, ValidatorStudy],
    distances: Mapping[str, DistanceSummary],
) -> Iterator[str]:
    for method in config.select.methods:
        if method not in selections:
            yield f"not there yet: what the method {method} kept (stage 8)"
    for auxiliary in config.auxiliaries:
        if auxiliary not in distances:
            yield f"not there yet: distances to the auxiliary {auxiliary} (stage 8)"
        if auxiliary not in studies:
            yield f"not there yet: the validator study of {auxiliary} (stage 12, if the truth is known)"
