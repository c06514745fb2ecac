"""How to decode: the same for every family and stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k2d.core.errors import UsageError

MIN_WINDOW_S = 0.2
"""What remains of a recording after its windows is skipped when shorter than this, as ESPnet does (Whisper: 0.01)."""


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
    min_window_s: float = MIN_WINDOW_S
    """What remains of a recording is not heard when it is shorter than this."""
    silence_threshold: float | None = None
    """A window is skipped when the model gives silence more than this probability; None: never."""
    temperatures: tuple[float, ...] = (0.0,)
    """Tried in this order while a window's text is doubtful; 0 is the search itself, above it tokens are drawn."""
    compression_ratio_threshold: float | None = None
    """A text that zlib makes smaller by more than this is doubtful."""
    logprob_threshold: float | None = None
    """A text whose mean log-probability is less is doubtful; and only such a one is taken for silence."""
    mode: Literal["attention", "ctc", "joint"] = "attention"
    ctc_weight: float = 0.3
    """Share of the CTC score in `joint`."""

    def __post_init__(self) -> None:
        for name, value in (("batch_size", self.batch_size), ("beam", self.beam), ("max_tokens", self.max_tokens)):
            if value < 1:
                raise UsageError(f"decoding: {name} is {value}; at least 1 is expected")
        if not self.temperatures or any(each < 0 for each in self.temperatures):
            found = ", ".join(f"{each:g}" for each in self.temperatures) or "none"
            raise UsageError(f"decoding: temperatures are {found}; at least one is expected, each 0 or more")
        if self.min_window_s <= 0:
            raise UsageError(f"decoding: min_window_s is {self.min_window_s:g}; more than 0 is expected")
        if self.min_advance_s <= 0:
            raise UsageError(f"decoding: min_advance_s is {self.min_advance_s:g}; more than 0 is expected")
        if not 0 < self.ctc_weight < 1:
            raise UsageError(f"decoding: ctc_weight is {self.ctc_weight:g}; between 0 and 1 is expected (or mode ctc)")
        if self.mode == "ctc" and self.timestamps:
            raise UsageError("decoding: mode ctc hears no timestamps; set timestamps=False, or mode attention or joint")
