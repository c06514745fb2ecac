"""An empty experiment whose stored files a test writes by hand, and the reader for it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from made_experiment import CONF

from k2d.config import Config, load_config
from k2d.core.layout import Layout, experiment_layout
from k2d.report.stored import Experiment, read_experiment


@dataclass
class Bench:
    """Folders for stored files, and the function that reads them."""

    config: Config
    layout: Layout

    @property
    def exp(self) -> Path:
        return self.layout.exp

    def read(self) -> Experiment:
        return read_experiment(self.config, self.layout)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    conf = tmp_path / "made.yaml"
    conf.write_text(CONF)
    config = load_config(conf, [f"exp={tmp_path / 'exp'}", f"data={tmp_path / 'data'}"])
    found = experiment_layout(config.data, config.exp, config.name)
    found.exp.mkdir(parents=True)
    return Bench(config, found)
