"""The config sections on decoding: the defaults for all recognisers, and the settings of a single one."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from k2d.config.fields import (
    STRICT,
    BatchSize,
    Beam,
    ComputeType,
    Count,
    DecodePrecision,
    Engine,
    NotNegative,
    Positive,
    Share,
)


@dataclass(frozen=True, config=STRICT)
class ModelDecoding:
    """The decoding of one model, if it differs from the section `decode`, which has the defaults of all models."""

    engine: Engine | None = None
    """Default: decode.engine if the model's family can be decoded with it, otherwise torch."""
    batch_size: BatchSize | None = None
    precision: DecodePrecision | None = None
    compute_type: ComputeType | None = None


@dataclass(frozen=True, config=STRICT)
class Decode:
    """Long-form decoding. The same settings are used for all models and stages."""

    batch_size: BatchSize = 16
    """Windows of different recordings that are decoded together."""
    beam: Beam = 1
    """Number of hypotheses in the beam. Checkpoints are always measured with one."""
    ctc_weight: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Weight of the CTC head's score in joint decoding."""
    max_tokens: Count = 224
    """Largest number of tokens per window."""
    min_advance_s: Positive = 1.0
    """The next window starts at least this much later, even if the timestamps give less."""
    stop_loops: bool = True
    """Stop decoding a window if its text fails the n-gram test of selection."""
    condition_on_previous_text: bool = False
    silence_threshold: Share | None = None
    """A window is skipped if the probability of silence is higher than this (Whisper's own default: 0.6)."""
    temperatures: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (0.0,)
    """A doubtful text is decoded again at the next of these temperatures (Whisper's own: 0 to 1 by 0.2)."""
    compression_ratio_threshold: Positive | None = None
    """A text is doubtful if zlib compresses it by more than this factor (Whisper's own: 2.4)."""
    logprob_threshold: Annotated[float, Field(lt=0)] | None = None
    """A text is doubtful if its mean log-probability is lower than this (Whisper's own: -1.0). If it is set, a window
    counts as silent only if its text is doubtful, too."""
    ctc_rows: bool = False
    """Decode teacher and auxiliaries also by their CTC heads, as systems `<model>_ctc`. These show which part of the
    errors comes from the encoder. Models that are decoded by CTC anyway are left out."""
    engine: Engine = "torch"
    """The program that decodes. ctranslate2 (used by faster-whisper) runs models of the Whisper family, which are
    converted for it. Models of other families are still decoded in torch."""
    precision: DecodePrecision = "fp32"
    """Precision in torch. fp16 needs a GPU."""
    compute_type: ComputeType = "fp32"
    """Precision of the engine ctranslate2. fp16 and int8_fp16 need a GPU."""
