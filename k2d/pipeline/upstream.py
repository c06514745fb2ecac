"""Checks that the inputs of a stage are undamaged and made with the present config, and finds the stage to run again.

The files of a stage's own inputs are compared with their stamps. For everything before that, only stamps are compared.
"""

from __future__ import annotations

import logging
import shlex
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError
from k2d.core.layout import PROJECT_ROOT, shown
from k2d.core.stamp import Recipe, Stamp, UnreadableStamp, differences
from k2d.pipeline.job import Job, Unit
from k2d.pipeline.stage_list import BY_VERB, STAGES, Stage
from k2d.pipeline.unit_status import input_name

RAW = "raw"  # a setting of stage 1: a raw corpus may grow during a run, and only stage 1 compares it
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Producer:
    """A unit of an earlier stage."""

    stage: Stage
    unit: Unit[Any]
    corpus: str | None
    """The corpus to which the stage must be limited to make this unit."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A folder that is damaged, or that was made with another config."""

    folder: Path
    read: Path
    """The input of the stage that led to this folder: it is the folder, lies in it, or was made from it."""
    changes: tuple[str, ...]
    must_ask: bool
    """Whether --force is needed to make it again."""
    stage: Stage | None
    """The stage that makes it."""
    corpus: str | None
    """The corpus to which that stage must be limited to make this folder."""
    is_damaged: bool = False
    """Whether files in it have changed since it was made."""


class Upstream:
    """The known units of all stages of an experiment."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._units: dict[int, tuple[Producer, ...]] = {}

    def stale(self, stage: Stage, units: Sequence[Unit[Any]]) -> list[Stale]:
        """The folders that the units read, or that their inputs were made from, which are damaged or outdated."""
        own = {unit.output for unit in units}
        inputs = dict.fromkeys(path for unit in units for path in unit.inputs)
        read = [path for path in inputs if _first_in(path, own) is None]
        producers = self._before(stage)
        damaged = [found for path in read if (found := self._damaged(path, producers)) is not None]
        changed = self._changed(read, producers)
        by_folder = {found.folder: found for found in [*damaged, *changed]}  # a change hides damage in the same folder
        return sorted(by_folder.values(), key=lambda found: found.stage.number if found.stage else 0)

    def _before(self, stage: Stage) -> dict[Path, Producer]:
        earlier = [each for each in STAGES if each.number < stage.number and each.is_built]
        for each in earlier:
            if each.number not in self._units:
                self._units[each.number] = tuple(_producers(each, self._job))
        return {found.unit.output: found for each in earlier for found in self._units[each.number]}

    def _damaged(self, path: Path, producers: Mapping[Path, Producer]) -> Stale | None:
        """The damage to the folder that a stage reads, or reads a file of. None if it agrees with its stamp."""
        look = self._job.inspection
        maker = look.maker_of(path) if path.exists() else None
        if maker is None or maker.stamp is None:
            return None
        folder = path if path.is_dir() else path.parent
        if _is_ones_own(folder, maker.folder, maker.stamp) or not (changes := look.at(folder).damage):
            return None
        producer = producers.get(maker.folder)
        by = producer.stage if producer else BY_VERB.get(maker.stamp.recipe.stage)
        must_ask = any(not line.endswith("is missing") for line in changes)
        corpus = producer.corpus if producer else None
        return Stale(maker.folder, path, changes, must_ask, by, corpus, is_damaged=True)

    def _changed(self, read: Sequence[Path], producers: Mapping[Path, Producer]) -> Iterator[Stale]:
        """Trace the inputs back to everything that they were made from. Each folder is visited once."""
        queue = deque((path, path) for path in read)
        seen: set[Path] = set()
        while queue:
            path, through = queue.popleft()
            output = _first_in(path, producers)
            if output is None or output in seen:
                continue
            seen.add(output)
            producer = producers[output]
            try:
                stamp = self._job.inspection.stamp(output)
            except UnreadableStamp as fault:
                why = f"its stamp cannot be read ({fault.why})"
                yield Stale(output, through, (why,), True, producer.stage, producer.corpus)
                continue
            if stamp is None and output.exists():
                continue  # a folder that was made by hand is not checked
            queue.extend((each, through) for each in producer.unit.inputs)
            if stamp is not None and (changes := self._differences(producer, stamp)):
                must_ask = not producer.unit.is_disposable
                yield Stale(output, through, changes, must_ask, producer.stage, producer.corpus)

    def _differences(self, producer: Producer, stamp: Stamp) -> tuple[str, ...]:
        """The differences between the stamp and the present config. Inputs that no longer exist count as unchanged."""
        unit, recorded = producer.unit, stamp.recipe
        inputs: dict[str, str] = {}
        for path in unit.inputs:
            name = input_name(path, self._job)
            if path.exists():
                inputs[name] = self._value_of(path, recorded.inputs.get(name))
            elif name in recorded.inputs:
                inputs[name] = recorded.inputs[name]
            else:
                return ()  # a lost file leaves the unit's settings unknown
        # An input that no longer exists, and that the config does not name now, cannot be compared with anything.
        roots = self._job.layout.exp, PROJECT_ROOT
        not_named = {name: value for name, value in recorded.inputs.items() if name not in inputs}
        lost = {name: value for name, value in not_named.items() if not any((root / name).exists() for root in roots)}
        settings = {**unit.settings, **({RAW: recorded.settings[RAW]} if RAW in recorded.settings else {})}
        wanted = Recipe(producer.stage.verb, producer.stage.load().VERSION, settings, {**inputs, **lost})
        return tuple(differences(recorded, wanted, unit.added))

    def _value_of(self, path: Path, recorded: str | None) -> str:
        """The fingerprint of an input. Its files are read if its stamp does not have the recorded fingerprint."""
        look = self._job.inspection
        by_stamp = look.recorded_fingerprint(path)
        return by_stamp if by_stamp is not None and by_stamp == recorded else look.at(path).fingerprint


def refuse_stale(stage: Stage, units: Sequence[Unit[Any]], job: Job) -> None:
    """Stop before any work if inputs are damaged or were made with another config."""
    found = Upstream(job).stale(stage, units)
    if not found:
        return
    lines = [f"stage {stage.number} ({stage.verb}) reads folders that are damaged or were made with another config:"]
    for each in found[:MOST_SHOWN]:
        through = "" if each.read.is_relative_to(each.folder) else f", from which {shown(each.read)} was made"
        lines += [f"  {shown(each.folder)}{through}", *(f"    {change}" for change in each.changes)]
    if len(found) > MOST_SHOWN:
        lines.append(f"  … and {len(found) - MOST_SHOWN} more")
    raise K2DError("\n".join([*lines, *_remedy(stage, found, job)]))


def _remedy(stage: Stage, found: Sequence[Stale], job: Job) -> Iterator[str]:
    first, force = found[0], any(each.must_ask for each in found)
    if first.stage is None:
        yield f"make {shown(first.folder)} again"
    else:
        only = ["--corpus", first.corpus] if first.corpus else []
        stop = ["--stop-stage", "1"] if first.stage.number == 1 else []
        options = [*only, "--stage", str(first.stage.number), *stop, *(["--force"] if force else [])]
        command = shlex.join(["./run.sh", *job.words, *options])
        yield f"run stage {first.stage.number} ({first.stage.verb}) again first: {command}"
    if job.force:
        yield f"(--force replaces what stage {stage.number} makes, never what it reads)"
    if first.stage is not None and first.stage.number == 1:
        yield "or, to change data by hand, copy it (python -m k2d data copy) and name the copy in the config"
    if any(each.is_damaged for each in found):
        yield "or restore the files"
    if not all(each.is_damaged for each in found):
        yield "or give the experiment another name (name=…, data=… for corpora)"


def _producers(stage: Stage, job: Job) -> Iterator[Producer]:
    """The units of a stage, for the whole experiment and for the corpus of this run."""
    corpora: list[str | None] = [None, job.corpus] if job.corpus else [None]
    if stage.number == 1:  # corpus by corpus, so that one unknown corpus does not hide the others
        corpora = list(dict.fromkeys([*job.config.corpora.names(), *([job.corpus] if job.corpus else [])]))
    for corpus in corpora:
        try:
            with _silently():
                units = stage.load().units(replace(job, corpus=corpus))
        except (K2DError, OSError, ImportError, SyntaxError) as error:  # that stage reports it
            where = f" of {corpus}" if corpus else ""
            logging.getLogger("k2d.file").info("stage %d%s cannot be checked: %s", stage.number, where, error)
            continue
        yield from (Producer(stage, unit, corpus) for unit in units)


@contextmanager
def _silently() -> Iterator[None]:
    """Suppress what a stage logs about its units. It is logged when that stage itself runs."""
    log = logging.getLogger("k2d")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _is_ones_own(folder: Path, made: Path, stamp: Stamp) -> bool:
    """Whether a folder was put into a finished one later, such as a subset beside the data that it was taken from."""
    prefix = "" if folder == made else f"{folder.relative_to(made).as_posix()}/"
    return not any(name.startswith(prefix) for name in stamp.files)


def _first_in(path: Path, folders: set[Path] | Mapping[Path, object]) -> Path | None:
    """The folder among these that contains a path, or is the path."""
    return next((folder for folder in (path, *path.parents) if folder in folders), None)
