"""How the models were trained: a table and curves, from the files that stages 3, 4 and 10 save with a model."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from k2d.report.document import NOTHING, Figure, Table, names
from k2d.report.plotting import colours_of, drawn, legend_below
from k2d.report.wording import number, share

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CURVES = "curves.csv"
_N_POINTS = 200  # of a curve; each point is the mean of the steps around it


@dataclass(frozen=True, slots=True)
class Training:
    """The record of a training, with its loss."""

    model: str
    steps: int
    train_s: float
    between_s: float
    """The time for decoding development data and writing checkpoints."""
    waiting_share: float
    error_rates: Mapping[int, float]
    """The error rate of free-running decoding, by step."""
    chosen_steps: tuple[int, ...]
    final_error_rate: float | None
    undertrained: bool | None
    loss: tuple[tuple[float, float], ...] = ()
    """The smoothed loss, by step."""


def training_of(raw: Mapping[str, Any], model: str, loss: Sequence[tuple[float, float]] = ()) -> Training:
    """A stored training.json as a row."""
    phases = list(raw["phases"].values())
    train_s = sum(float(phase["train_s"]) for phase in phases)
    waiting_s = sum(float(phase["waiting_s"]) for phase in phases)
    return Training(
        model=model,
        steps=sum(int(phase["steps"]) for phase in phases),
        train_s=train_s,
        between_s=sum(float(phase["between_s"]) for phase in phases),
        waiting_share=waiting_s / train_s if train_s else 0.0,
        error_rates={int(step): float(rate) for step, rate in raw["error_rates"].items()},
        chosen_steps=tuple(map(int, raw["chosen_steps"])),
        final_error_rate=raw["final_error_rate"],
        undertrained=raw["undertrained"],
        loss=tuple(loss),
    )


def read_loss(path: Path) -> list[tuple[float, float]]:
    """The loss by step over all phases, averaged over about two hundred stretches."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(int(row["total_step"]), float(row["loss"])) for row in csv.DictReader(file)]
    size = max(1, len(rows) // _N_POINTS)
    stretches = [rows[at : at + size] for at in range(0, len(rows), size)]
    return [(sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in stretches]


def training_table(trainings: Sequence[Training]) -> Table:
    """One row for each model that was trained here."""
    header = ("model", "steps", "minutes", "waiting for data", "measured", "last error %", "chosen steps", "remark")
    rows = tuple(names(*_row(training)) for training in trainings)
    note = (
        "Error: free-running long-form decoding, of the development sets for teacher and auxiliaries, against the "
        "teacher's labels of held-out recordings for students. Undertrained: it still fell by 5 % or more, relative, "
        "over the last fifth of the steps."
    )
    return Table("How the models were trained", header, rows, notes=(note,))


def _row(training: Training) -> Iterator[str]:
    yield training.model
    yield f"{training.steps:,}"
    yield f"{number(training.train_s / 60, 1)} + {number(training.between_s / 60, 1)}"
    yield share(training.waiting_share)
    yield f"{len(training.error_rates)}×"
    yield number(None if training.final_error_rate is None else 100 * training.final_error_rate)
    yield ", ".join(f"{step:,}" for step in training.chosen_steps) or NOTHING
    yield {True: "undertrained", False: "", None: ""}[training.undertrained]


def training_figures(trainings: Sequence[Training]) -> Iterator[Figure]:
    """The loss of each training, and its error rate if it was measured more than once."""
    colours = colours_of(tuple(training.model for training in trainings))
    with_loss = [training for training in trainings if training.loss]
    if with_loss:
        caption = "Loss by step, all phases after one another. A phase with other terms has another scale."

        def draw_loss(axes: Axes) -> None:
            for training in with_loss:
                steps, values = zip(*training.loss, strict=True)
                axes.plot(steps, values, color=colours[training.model], label=training.model, linewidth=1.2)
            axes.set(xlabel="step", ylabel="loss", title="Training loss")
            legend_below(axes)

        yield Figure(drawn(draw_loss, caption, height_in=3.4), caption)
    measured = [training for training in trainings if len(training.error_rates) > 1]
    if measured:
        caption = "Error rate of free-running decoding by step, on what the checkpoints are chosen by."

        def draw_errors(axes: Axes) -> None:
            for training in measured:
                steps, rates = zip(*sorted(training.error_rates.items()), strict=True)
                percents = [100 * rate for rate in rates]
                axes.plot(steps, percents, "o-", color=colours[training.model], label=training.model, markersize=4)
            axes.set(xlabel="step", ylabel="error rate (%)", title="Error rate in training")
            axes.set_ylim(bottom=0)
            legend_below(axes)

        yield Figure(drawn(draw_errors, caption, height_in=3.4), caption)
