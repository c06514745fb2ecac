"""Functions of the step alone: the learning rate, and the steps after which the model is measured."""

from __future__ import annotations

import math

from k2d.config.training import Running, Steps


def learning_rate(steps: Steps, step: int) -> float:
    """The learning rate of a step (counted from 0): a linear warm-up, then the schedule.

    >>> [learning_rate(Steps(steps=8, lr=1.0, warmup_steps=4, schedule="linear"), step) for step in (0, 3, 4, 6)]
    [0.25, 1.0, 1.0, 0.5]
    """
    if step < steps.warmup_steps:
        return steps.lr * (step + 1) / steps.warmup_steps
    gone = (step - steps.warmup_steps) / max(1, steps.steps - steps.warmup_steps)
    match steps.schedule:
        case "constant":
            return steps.lr
        case "linear":
            return steps.lr * (1 - gone)
        case "cosine":
            return steps.lr * (1 + math.cos(math.pi * gone)) / 2
        case "inverse_sqrt":
            return steps.lr * math.sqrt(max(1, steps.warmup_steps) / (step + 1))


def measured_steps(running: Running, steps: Steps) -> frozenset[int]:
    """The steps of a phase after which free-running decoding is measured: at equal distances, the last at its end.

    >>> sorted(measured_steps(Running(evaluations=3), Steps(steps=100)))
    [33, 67, 100]
    """
    return frozenset(max(1, round(steps.steps * (n + 1) / running.evaluations)) for n in range(running.evaluations))
