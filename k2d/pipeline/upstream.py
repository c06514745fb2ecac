"""Whether what a stage reads is what this config asks for, and whole; if not, which stage is to be run again.

What a stage reads itself is looked at file by file. What that was made from is judged by the stamps alone.
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

RAW = "raw"  # setting of stage 1: a raw corpus may grow while a run goes on, and only stage 1 asks about that
MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Producer:
    """A unit of an earlier stage."""

    stage: Stage
    unit: Unit[Any]
    corpus: str | None
    """What the stage has to be limited to, so that it makes this unit."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A folder that is not what this config asks for, or not whole."""

    folder: Path
    read: Path
    """The input of the stage that is this folder, or lies in it, or was made from it."""
    changes: tuple[str, ...]
    must_ask: bool
    """Making it anew needs --force."""
    stage: Stage | None
    """Who makes it."""
    corpus: str | None
    """What that stage has to be limited to, so that it makes this folder."""
    is_damaged: bool = False
    """Files in it changed since it was made."""


class Upstream:
    """The units of all stages of an experiment, as far as they are known."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._units: dict[int, tuple[Producer, ...]] = {}

    def stale(self, stage: Stage, units: Sequence[Unit[Any]]) -> list[Stale]:
        """What of all that the units of a stage read, or that it was made from, is not as it should be."""
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
        """Whether the folder that a stage reads (or reads a file of) agrees with its stamp."""
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
        """Follow what is read back to what it was made from, each folder once."""
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
                continue  # made by hand: the experiment is not asked about it
            queue.extend((each, through) for each in producer.unit.inputs)
            if stamp is not None and (changes := self._differences(producer, stamp)):
                must_ask = not producer.unit.is_disposable
                yield Stale(output, through, changes, must_ask, producer.stage, producer.corpus)

    def _differences(self, producer: Producer, stamp: Stamp) -> tuple[str, ...]:
        """What the config would have otherwise; inputs that are there no more count as unchanged."""
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
        lost = {name: value for name, value in recorded.inputs.items() if name not in inputs and self._is_lost(name)}
        settings = {**unit.settings, **({RAW: recorded.settings[RAW]} if RAW in recorded.settings else {})}
        wanted = Recipe(producer.stage.verb, producer.stage.load().VERSION, settings, {**inputs, **lost})
        return tuple(differences(recorded, wanted, unit.added))

    def _value_of(self, path: Path, recorded: str | None) -> str:
        """The fingerprint of an input; its files are read if its stamp does not have what was recorded."""
        look = self._job.inspection
        by_stamp = look.recorded_fingerprint(path)
        return by_stamp if by_stamp is not None and by_stamp == recorded else look.at(path).fingerprint

    def _is_lost(self, name: str) -> bool:
        return not any((root / name).exists() for root in (self._job.layout.exp, PROJECT_ROOT))


def refuse_stale(stage: Stage, units: Sequence[Unit[Any]], job: Job) -> None:
    """Refuse, before any work, to work on what another config asked for, or on damaged files."""
    found = Upstream(job).stale(stage, units)
    if not found:
        return
    lines = [f"stage {stage.number} ({stage.verb}) reads what is not as this config asks for:"]
    for each in found[:MOST_SHOWN]:
        through = "" if each.read.is_relative_to(each.folder) else f", from which {shown(each.read)} was made"
        lines += [f"  {shown(each.folder)}{through}", *(f"    {change}" for change in each.changes)]
    if len(found) > MOST_SHOWN:
        lines.append(f"  … and {len(found) - MOST_SHOWN} more")
    raise K2DError("\n".join([*lines, *_remedy(stage, found, job)]))


def _remedy(stage: Stage, found: Sequence[Stale], job: Job) -> Iterator[str]:
    first, force = found[0], any(each.must_ask for each in found)
    if first.stage is None:
        yield f"make {shown(first.folder)} anew"
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
        yield "or put the files back as they were"
    if not all(each.is_damaged for each in found):
        yield "or give the experiment another name (name=…, data=… for corpora)"


def _producers(stage: Stage, job: Job) -> Iterator[Producer]:
    """The units of a stage, for the whole experiment and for the corpus of this run."""
    corpora: list[str | None] = [None, job.corpus] if job.corpus else [None]
    if stage.number == 1:  # each by itself, so that one unknown corpus does not hide the others
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
    """Silence what a stage logs about its units: it matters when that stage itself runs."""
    log = logging.getLogger("k2d")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def _is_ones_own(folder: Path, made: Path, stamp: Stamp) -> bool:
    """Whether a folder was put into a made one later, such as a subset beside the data that it was taken from."""
    prefix = "" if folder == made else f"{folder.relative_to(made).as_posix()}/"
    return not any(name.startswith(prefix) for name in stamp.files)


def _first_in(path: Path, folders: set[Path] | Mapping[Path, object]) -> Path | None:
    """The folder among these that a path is, or lies in."""
    return next((folder for folder in (path, *path.parents) if folder in folders), None)
