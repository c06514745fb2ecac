"""Load the scored systems below given folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from k2d.core.errors import K2DError
from k2d.core.layout import SCORES, SPEEDS, TEACHER, shown
from k2d.score.store import SCORE, StoredScore, read_score
from k2d.score.timing import SINGLE, SPEED, RealTimeFactor
from k2d.score.timing_files import read_speeds


@dataclass(frozen=True)
class System:
    """A system's scores by set."""

    name: str
    scores: Mapping[str, StoredScore]
    folder: Path
    speeds: Mapping[str, RealTimeFactor]
    """By set: timed in turn with the other systems of the folder, or from a timing beside the hypotheses."""


def systems_in(folders: Sequence[Path]) -> list[System]:
    """Every system below the folders (experiments, or folders with scores), the teacher first."""
    found: dict[str, dict[str, StoredScore]] = {}
    homes: dict[str, Path] = {}
    speeds: dict[str, dict[str, RealTimeFactor]] = {}
    for folder in folders:
        timed = _speeds_below(folder)
        for stored in _scores_below(folder):
            model, name = stored.score.model, stored.score.set
            system = model if len(folders) == 1 else f"{folder.resolve().name}/{model}"
            if other := found.setdefault(system, {}).get(name):
                message = f"{shown(stored.folder)} and {shown(other.folder)} are both the score of {system} on {name}"
                raise K2DError(f"{message}; name one of them")
            found[system][name] = stored
            homes[system] = folder
            if (speed := timed.get(name, {}).get(model) or stored.score.rtf) is not None:
                speeds.setdefault(system, {})[name] = speed
    ordered = sorted(found.items(), key=lambda item: item[0].split("/")[-1] != TEACHER)  # a stable sort
    return [System(name, scores, homes[name], speeds.get(name, {})) for name, scores in ordered]


def _speeds_below(folder: Path) -> dict[str, dict[str, RealTimeFactor]]:
    """The speeds by set and model, for one recording at a time."""
    paths = [path for path in sorted(folder.glob(f"{SPEEDS}/*/*/{SPEED}")) if not _is_hidden(path.relative_to(folder))]
    return {path.parent.relative_to(folder / SPEEDS).as_posix(): read_speeds(path)[SINGLE] for path in paths}


def _scores_below(folder: Path) -> list[StoredScore]:
    root = folder / SCORES if (folder / SCORES).is_dir() else folder
    paths = sorted(path for path in root.rglob(SCORE) if not _is_hidden(path.relative_to(root)))
    if not paths:
        raise K2DError(f"{shown(folder)}: no {SCORE} below it; expected an experiment after stage 12 (score)")
    return [read_score(path.parent) for path in paths]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
