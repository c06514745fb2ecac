"""A few stages in memory, run in this process: opinions are selected, trained on, decoded and scored."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from k2d.config import Config, load_config
from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.job import Counts, Job, Settings, Unit
from k2d.pipeline.runner import make_job, run_stage
from k2d.pipeline.stage_list import BY_VERB, Stage


@dataclass
class ToyStage:
    """Writes the settings of each unit to `text`, and a file beside it that is not used."""

    units: Callable[[Job], list[Unit]]
    VERSION: int = 1
    made: list[str] = field(default_factory=list)
    """Names of the units that were made, in order."""

    def make(self, unit: Unit, job: Job, folder: Path) -> Counts:
        (folder / "text").write_text(json.dumps(dict(unit.settings)))
        (folder / "notes").write_text("nobody reads this")
        self.made.append(unit.output.name)
        return Counts(1, 1)


@dataclass
class ToyRoad:
    """The stages by verb, and an experiment `x` for which they run."""

    root: Path
    stages: dict[str, ToyStage]

    @property
    def exp(self) -> Path:
        return self.root / "exp" / "x"

    def job(self, *overrides: str, force: bool = False, corpus: str | None = None, verify: bool = False) -> Job:
        places = (f"exp={self.root / 'exp'}", f"data={self.root / 'data'}", "name=x")
        config = _config(*places, *overrides)
        return replace(make_job(config, force=force, corpus=corpus, verify=verify), words=overrides)

    def run(self, *verbs: str, overrides: tuple[str, ...] = (), **more: Any) -> list[str]:
        """Run stages, each as a run of its own, and return the names of the units that were made."""
        before = {verb: len(stage.made) for verb, stage in self.stages.items()}
        for verb in verbs or self.stages:
            run_stage(BY_VERB[verb], self.job(*overrides, **more))
        return [name for verb, stage in self.stages.items() for name in stage.made[before[verb] :]]


@lru_cache
def _config(*overrides: str) -> Config:
    return load_config(PROJECT_ROOT / "conf" / "mini.yaml", overrides)


def toy_road(root: Path, monkeypatch: pytest.MonkeyPatch) -> ToyRoad:
    """Two methods select from the same opinions. The first one's selection is trained on, decoded and scored."""

    def select(job: Job) -> list[Unit]:
        settings = {"alpha": job.config.select.alpha}
        opinions = job.layout.exp / "opinions"
        return [
            Unit(job.layout.exp / "select" / name, Settings({**settings, "name": name}), (opinions,)) for name in "ab"
        ]

    def one(folder: str, reads: str) -> Callable[[Job], list[Unit]]:
        return lambda job: [Unit(job.layout.exp / folder, Settings({"folder": folder}), (job.layout.exp / reads,))]

    def second_opinion(job: Job) -> list[Unit]:
        return [Unit(job.layout.exp / "opinions", Settings({"beam": job.config.decode.beam}))]

    stages = {
        "second_opinion": ToyStage(second_opinion),
        "select": ToyStage(select),
        "distill": ToyStage(one("models/a-s1", "select/a")),
        "decode": ToyStage(one("decode/a", "models/a-s1")),
        "score": ToyStage(one("score/a", "decode/a/text")),
    }
    monkeypatch.setattr(Stage, "load", lambda stage: stages[stage.verb])
    monkeypatch.setattr(Stage, "is_built", property(lambda stage: stage.verb in stages))
    return ToyRoad(root, stages)
