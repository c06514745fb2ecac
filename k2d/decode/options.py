"""The options of decoding. They are the same for every family and stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from k2d.config.decoding import Decode
from k2d.core.errors import UsageError

MIN_WINDOW_S = 0.2
"""The rest of a recording is skipped if it is shorter than this, as in ESPnet (Whisper: 0.01)."""


@dataclass(frozen=True, slots=True)
class Options:
    """The defaults are those of the config: greedy decoding with timestamps, without previous text in the prompt."""

    batch_size: int = Decode.batch_size
    """The number of windows of different recordings that are decoded together."""
    beam: int = Decode.beam
    max_tokens: int = Decode.max_tokens
    """The largest number of tokens per window, including the end."""
    min_advance_s: float = Decode.min_advance_s
    languages: tuple[str, ...] = ()
    timestamps: bool = True
    condition_on_previous_text: bool = Decode.condition_on_previous_text
    min_window_s: float = MIN_WINDOW_S
    """The rest of a recording is skipped if it is shorter than this."""
    silence_threshold: float | None = Decode.silence_threshold
    """A window is skipped if the probability of silence is higher than this. None: never."""
    temperatures: tuple[float, ...] = Decode.temperatures
    """Tried in this order while a window's text is doubtful. At 0 the best tokens are searched, above 0 sampled."""
    compression_ratio_threshold: float | None = Decode.compression_ratio_threshold
    """A text is doubtful if zlib compresses it by more than this factor."""
    logprob_threshold: float | None = Decode.logprob_threshold
    """A text with a lower mean log-probability is doubtful, and only such a text can count as silence."""
    mode: Literal["attention", "ctc", "joint"] = "attention"
    ctc_weight: float = Decode.ctc_weight
    """The weight of the CTC score in `joint`."""

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
            raise UsageError("decoding: mode ctc has no timestamps; set timestamps=False, or mode attention or joint")
