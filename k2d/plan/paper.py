"""The paper's figures beside the estimates of this module for the same runs, to show how good the estimates are."""

from __future__ import annotations

from dataclasses import dataclass

from k2d.models.registry import published_shape
from k2d.plan.machines import MACHINES
from k2d.plan.memory import Decoding, Distillation
from k2d.plan.throughput import decoding_rate, distilling_rate, window_s

_GPUS, _MACHINE = 4, MACHINES["h100"]
_HOURS_OF_AUDIO = 60_000
_STEPS, _BATCH = 120_000, 256
_BATCH_OF_DECODING = 64  # an assumption: the paper gives no batch size


@dataclass(frozen=True, slots=True)
class Published:
    """A figure of the paper, with the estimate for it."""

    what: str
    paper: float
    estimate: float
    unit: str
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.estimate / self.paper


def against_the_paper() -> list[Published]:
    """Sizes and hours of Tseng et al. (2024), estimated with the default throughputs for its machine."""
    teacher = published_shape("large-v2")
    student = teacher.with_decoder_layers(2)
    step = Distillation(student, teacher, _BATCH // _GPUS, 150, "bf16")
    rate = distilling_rate(step, _MACHINE)
    training_h = _STEPS * _BATCH / rate.per_s / _GPUS / 3600
    theirs = _STEPS * _BATCH * rate.flops / (42 * 3600 * _GPUS * _MACHINE.flops_per_s["bf16"])
    return [
        Published("parameters of the teacher", 1550, _millions(teacher.parameters + teacher.fixed_numbers), "M"),
        Published("parameters of the student", 756, _millions(student.parameters + student.fixed_numbers), "M"),
        Published("120,000 steps of 256 on 4 H100", 42, training_h, "h", f"theirs: {theirs:.0%} of peak"),
        *(
            Published(f"opinions of {name} on 60,000 h, 4 H100", paper_h, _opinions_h(name), "h")
            for name, paper_h in (("base", 9), ("small", 37), ("medium", 284))
        ),
    ]


def _millions(n: int) -> float:
    return n / 1e6


def _opinions_h(name: str) -> float:
    shape = published_shape(name)
    rate = decoding_rate(Decoding(shape, _BATCH_OF_DECODING, 1, 224, "bf16"), _MACHINE)
    return _HOURS_OF_AUDIO / window_s(shape) / rate.per_s / _GPUS
