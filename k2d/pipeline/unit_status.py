"""The status of a unit: not done, done, or made with other settings or inputs than the present ones."""

from __future__ import annotations

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2d.core.errors import K2DError, MissingInput
from k2d.core.layout import PROJECT_ROOT, shown
from k2d.core.stamp import Recipe, Stamp, UnreadableStamp, differences
from k2d.data.corpus import known_corpora, read_card
from k2d.pipeline.job import Job, Unit
from k2d.pipeline.stage_list import Stage


@dataclass(frozen=True, slots=True)
class State:
    """A unit, its present recipe, and the state of its folder."""

    unit: Unit[Any]
    recipe: Recipe
    stamp: Stamp | None
    changes: tuple[str, ...]
    """Why the existing folder is not what the config asks for. Empty if it is done, or if there is no folder."""
    must_ask: bool = False
    """Whether making it would destroy something that cannot simply be made again."""

    @property
    def is_done(self) -> bool:
        return self.stamp is not None and not self.changes


def state_of(stage: Stage, unit: Unit[Any], job: Job) -> State:
    """Compare the existing folder of a unit with the present recipe."""
    recipe = recipe_of(stage.verb, stage.load().VERSION, unit, job)
    try:
        stamp = job.inspection.stamp(unit.output)
    except UnreadableStamp as fault:
        return State(unit, recipe, None, (f"its stamp cannot be read ({fault.why})",), must_ask=True)
    if stamp is None:
        foreign = unit.output.exists() and any(unit.output.iterdir())
        return State(unit, recipe, None, ("it holds files without a stamp",) if foreign else (), must_ask=foreign)
    if changes := differences(stamp.recipe, recipe, unit.added):
        return State(unit, recipe, stamp, tuple(changes), must_ask=not unit.is_disposable)
    damage = job.inspection.at(unit.output).damage
    return State(unit, recipe, stamp, damage, must_ask=any(not line.endswith("is missing") for line in damage))


def recipe_of(verb: str, version: int, unit: Unit[Any], job: Job) -> Recipe:
    """Everything that determines a unit's content, for the present config. A missing input counts as new."""
    look = job.inspection.at
    inputs = {input_name(path, job): look(path).fingerprint if path.exists() else "" for path in unit.inputs}
    return Recipe(verb, version, unit.settings, inputs)


def input_name(path: Path, job: Job) -> str:
    """An input's name in a recipe. It is relative to the experiment, so that two experiments can be compared."""
    return str(path.relative_to(job.layout.exp)) if path.is_relative_to(job.layout.exp) else shown(path)


def states(stage: Stage, job: Job) -> list[State]:
    """The state of every unit that a stage makes for a job."""
    return [state_of(stage, unit, job) for unit in stage.load().units(job)]


def refuse_missing(stage: Stage, found: list[State], job: Job) -> None:
    """Stop before any work if an output of an earlier stage is missing."""
    own = [state.unit.output for state in found]
    inputs = dict.fromkeys(path for state in found for path in state.unit.inputs)
    missing = [path for path in inputs if not path.exists() and not any(path.is_relative_to(out) for out in own)]
    if missing:
        lines = [f"stage {stage.number} ({stage.verb}) reads {stage.reads}, and these are missing:"]
        lines += [f"  {shown(path)}" for path in missing]
        unprepared = [path for path in missing if path.is_relative_to(job.layout.data)]
        lines += dict.fromkeys(_how_to_prepare(path.relative_to(job.layout.data).parts[0], job) for path in unprepared)
        raise MissingInput("\n".join([*lines, "run the stages before it first (./run.sh --list shows their state)"]))


def _how_to_prepare(corpus: str, job: Job) -> str:
    """The command that makes a corpus's data directories."""
    if corpus not in known_corpora():
        return f"  {corpus} is not a corpus under egs/: add it (egs/README.md), or put its data directories there"
    variable = read_card(PROJECT_ROOT / "egs" / corpus / "corpus.yaml").root_variable
    given = f"{variable}=/path/to/it " if variable else ""
    command = shlex.join([f"egs/{corpus}/run.sh", *job.words, "--stage", "1", "--stop-stage", "1"])
    return f"  {corpus} is prepared by: {given}{command}"


def settled(found: list[State]) -> list[State]:
    """The states that do not depend on what this stage is about to make."""
    to_do = [state.unit.output for state in found if not state.is_done]
    return [s for s in found if not any(path.is_relative_to(out) for path in s.unit.inputs for out in to_do)]


def refuse_changed(stage: Stage, found: list[State], job: Job) -> None:
    """Stop before any work if a unit would be replaced that was made differently. All are listed in one message."""
    in_the_way = [state for state in found if state.must_ask]
    if not in_the_way or job.force:
        return
    lines = [f"stage {stage.number} ({stage.verb}) would replace folders that were made with other settings or inputs:"]
    for state in in_the_way:
        lines += [f"  {shown(state.unit.output)}", *(f"    {change}" for change in state.changes)]
    lines.append("run it with --force to replace it, or give the experiment another name (name=…, data=… for corpora)")
    raise K2DError("\n".join(lines))


def check_writable(folder: Path) -> None:
    """Fail before any work if the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=".writable-", dir=folder):  # the name is unique, and the file is deleted
            pass
    except OSError as error:
        raise K2DError(
            f"{shown(folder)}: cannot be written ({error.strerror}); fix its permissions, or free disk space"
        ) from error
