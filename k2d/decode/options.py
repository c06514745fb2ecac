"""How to decode: the same for every family and stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k2d.faults import UsageError

MIN_WINDOW_S = 0.2
"""What remains of a recording after its windows is skipped when shorter than this, as ESPnet does."""


@dataclass(frozen=True, slots=True)
class Options:
    """What may be chosen; the defaults are greedy decoding with timestamps, each window on its own."""

    batch_size: int = 16
    """Windows of different recordings that are decoded together."""
    beam: int = 1
    max_tokens: int = 224
    """Per window, the end included."""
    min_advance_s: float = 1.0
    languages: tuple[str, ...] = ()
    timestamps: bool = True
    condition_on_previous_text: bool = False
    silence_threshold: float | None = None
    """A window is skipped when the model gives silence more than this probability; None: never."""
    mode: Literal["attention", "ctc", "joint"] = "attention"
    ctc_weight: float = 0.3
    """Share of the CTC score in `joint`."""

    def __post_init__(self) -> None:
        for name, value in (("batch_size", self.batch_size), ("beam", self.beam), ("max_tokens", self.max_tokens)):
            if value < 1:
                raise UsageError(f"decoding: {name} is {value}; at least 1 is expected")
        if self.min_advance_s <= 0:
            raise UsageError(f"decoding: min_advance_s is {self.min_advance_s:g}; more than 0 is expected")
        if not 0 < self.ctc_weight < 1:
            raise UsageError(f"decoding: ctc_weight is {self.ctc_weight:g}; between 0 and 1 is expected (or mode ctc)")
        if self.mode != "attention" and self.timestamps:
            raise UsageError(f"decoding: mode {self.mode} hears no timestamps; set timestamps=False or mode attention")
