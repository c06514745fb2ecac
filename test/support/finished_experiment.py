"""A finished experiment: its records, and what each such experiment must hold."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from k2d.config import load_config
from k2d.config.schema import Config
from k2d.core.layout import PROJECT_ROOT
from k2d.pipeline.runner import make_job
from k2d.pipeline.stage_list import STAGES
from k2d.pipeline.unit_status import states
from k2d.report.stored import expected_systems


@dataclass(frozen=True)
class FinishedExperiment:
    """The experiment of a file under conf/."""

    name: str

    @property
    def exp(self) -> Path:
        return PROJECT_ROOT / "exp" / self.name

    @cached_property
    def config(self) -> Config:
        return load_config(PROJECT_ROOT / "conf" / f"{self.name}.yaml", [])

    def read(self, *parts: str) -> Any:
        return json.loads(self.exp.joinpath(*parts).read_text(encoding="utf-8"))

    def undone(self) -> list[str]:
        """The stages that are not done for this config as it is now, by their verbs."""
        job = make_job(self.config)
        return [stage.verb for stage in STAGES if not all(state.is_done for state in states(stage, job))]

    def assert_chunks_were_kept_and_dropped(self, method: str) -> None:
        record = self.read("select", method, "record.json")
        kept, dropped = record["kept"]["chunks"], sum(reason["chunks"] for reason in record["dropped"].values())
        assert kept > 0
        assert dropped > 0
        assert kept + dropped == record["in"]["chunks"]

    def assert_losses_fell(self, model: str) -> None:
        """In the last phase of its training: from its first tenth to its last."""
        with (self.exp / "models" / model / "curves.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        last = [float(row["loss"]) for row in rows if row["phase"] == rows[-1]["phase"]]
        tenth = max(1, len(last) // 10)
        assert sum(last[-tenth:]) < sum(last[:tenth])

    def assert_the_table_has_numbers(self) -> None:
        """Those of the scores, for every system and set of the config."""
        sets = [*self.config.corpora.dev, *self.config.corpora.in_domain, *self.config.corpora.out_domain]
        report = (self.exp / "report" / "RESULTS.md").read_text(encoding="utf-8")
        for system in expected_systems(self.config):
            for name in sets:
                mer = self.read("score", system, name, "score.json")["mer"]
                assert mer["n"] > 0
                assert f"{mer['percent']:.2f}" in report, (system, name)
        assert "not there yet" not in report
