"""The records of a training: a line of numbers per step (curves.csv), and a summary (training.json)."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k2d.core.atomic import write_text, writing

CURVES, TRAINING_RECORD = "curves.csv", "training.json"
_PLACE = ("phase", "step", "total_step")
UNDERTRAINED_ABOVE = 0.05  # relative fall of the error rate over the last fifth of the steps


class Curves:
    """The curves of a training: a line per step and a column per number, empty if a phase does not have the number."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path, self._columns = path, [*_PLACE, *columns]
        self._lines: list[list[str]] = []

    def resume(self, total_step: int) -> None:
        """Start the file, or continue after a step. Later lines are removed, because their steps are repeated."""
        kept = [line for line in self._complete_lines() if int(line["total_step"]) <= total_step]
        with writing(self._path) as file:
            writer = csv.DictWriter(file, self._columns, lineterminator="\n", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)

    def add(self, phase: str, step: int, total_step: int, values: Mapping[str, float]) -> None:
        """Add a line. Numbers are written in full, so that they can be read back exactly."""
        place = [phase, str(step), str(total_step)]
        self._lines.append([*place, *(repr(values[name]) if name in values else "" for name in self._columns[3:])])

    def flush(self) -> None:
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(self._lines)
        self._lines.clear()

    def _complete_lines(self) -> list[dict[str, str]]:
        """The lines of the file without the last one, if it is incomplete because a process was killed."""
        if not self._path.is_file():
            return []
        text = self._path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        return list(csv.DictReader(whole.splitlines()))


@dataclass
class PhaseRecord:
    """The record of a phase. Times are sums over all its runs, if it was stopped and resumed."""

    steps: int = 0
    train_s: float = 0.0
    """Time in steps, including waiting."""
    waiting_s: float = 0.0
    """Time waiting for data."""
    between_s: float = 0.0
    """Time for decoding development data and writing checkpoints."""
    first: dict[str, float] = field(default_factory=dict)
    """The numbers of its first step."""
    last: dict[str, float] = field(default_factory=dict)

    @property
    def waiting_share(self) -> float:
        return self.waiting_s / self.train_s if self.train_s else 0.0


@dataclass
class TrainingRecord:
    """The record of a training."""

    phases: dict[str, PhaseRecord] = field(default_factory=dict)
    error_rates: dict[int, float] = field(default_factory=dict)
    """The error rates of free-running decoding of the development sets, by step over all phases."""
    resumed_after: list[int] = field(default_factory=list)
    """The steps after which the training was resumed."""
    chosen_steps: list[int] = field(default_factory=list)
    """The checkpoints whose mean is the model. If there is one, the model is that checkpoint."""
    final_error_rate: float | None = None
    undertrained: bool | None = None
    """Whether the error rate was still falling. None: it was not measured often enough."""
    vocabulary: dict[str, Any] | None = None
    """How many tokens took part, and of which kind; None: the whole vocabulary."""

    def write(self, folder: Path) -> None:
        shares = {"waiting_share": {name: round(phase.waiting_share, 4) for name, phase in self.phases.items()}}
        text = json.dumps({**asdict(self), **shares}, ensure_ascii=False, indent=1)
        write_text(folder / TRAINING_RECORD, text + "\n")

    def as_state(self) -> str:
        """The record as text, for a checkpoint."""
        return json.dumps(asdict(self))

    @classmethod
    def from_state(cls, text: str) -> TrainingRecord:
        raw = json.loads(text)
        raw["phases"] = {name: PhaseRecord(**phase) for name, phase in raw["phases"].items()}
        raw["error_rates"] = {int(step): rate for step, rate in raw["error_rates"].items()}
        return cls(**raw)


def is_undertrained(error_rates: Mapping[int, float], n_steps: int) -> bool | None:
    """Whether the error rate fell by 5 % or more, relative, over the last fifth of the steps.

    It is compared with the last measurement before that fifth began.

    >>> is_undertrained({60: 0.5, 80: 0.40, 100: 0.39}, 100), is_undertrained({80: 0.40, 100: 0.38}, 100)
    (False, True)
    >>> is_undertrained({100: 0.38}, 100) is None
    True
    """
    earlier = [step for step in error_rates if step <= 0.8 * n_steps]
    if not earlier or n_steps not in error_rates:
        return None
    before = error_rates[max(earlier)]
    return before > 0 and 1 - error_rates[n_steps] / before >= UNDERTRAINED_ABOVE - 1e-9
