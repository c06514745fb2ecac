"""The sections of an experiment that say how recognisers decode: for all of them, and for one of them."""

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
    """How one model is decoded where it differs from the section `decode`, which has the defaults of all models."""

    engine: Engine | None = None
    """Default: decode.engine if the model's family can be decoded with it, otherwise torch."""
    batch_size: BatchSize | None = None
    precision: DecodePrecision | None = None
    compute_type: ComputeType | None = None


@dataclass(frozen=True, config=STRICT)
class Decode:
    """Long-form decoding, the same for every model and stage that decodes."""

    batch_size: BatchSize = 16
    """Windows of different recordings that are decoded together."""
    beam: Beam = 1
    """Number of hypotheses in the beam; checkpoints are measured with one."""
    ctc_weight: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the CTC head's score where a model is decoded jointly."""
    max_tokens: Count = 224
    """Per window."""
    min_advance_s: Positive = 1.0
    """The next window starts at least this much later, whatever the timestamps are."""
    stop_loops: bool = True
    """Stop decoding a window when its text fails the selection's n-gram test."""
    condition_on_previous_text: bool = False
    silence_threshold: Share | None = None
    """A window is skipped if the probability of silence is higher than this (Whisper's own default: 0.6)."""
    temperatures: Annotated[tuple[NotNegative, ...], Field(min_length=1)] = (0.0,)
    """A window whose text is doubtful is decoded again at the next of these (Whisper's own: 0 to 1 by 0.2)."""
    compression_ratio_threshold: Positive | None = None
    """A text is doubtful if zlib compresses it by more than this factor (Whisper's own: 2.4)."""
    logprob_threshold: Annotated[float, Field(lt=0)] | None = None
    """A text is doubtful if its mean log-probability is lower than this (Whisper's own: -1.0); only doubtful text is
    then taken for silence."""
    ctc_rows: bool = False
    """Decode teacher and auxiliaries by their CTC heads as well, where they are not anyway: rows `<model>_ctc`, which
    tell the encoder's part of an error from the decoder's."""
    engine: Engine = "torch"
    """The program that decodes. ctranslate2 (faster-whisper's) runs models of the Whisper family, which are
    converted for it; models of other families decode in torch all the same."""
    precision: DecodePrecision = "fp32"
    """Precision in torch; fp16 needs a GPU."""
    compute_type: ComputeType = "fp32"
    """Numbers of the engine ctranslate2: fp16 and int8_fp16 need a GPU."""
