"""The config sections on training."""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from pydantic.dataclasses import dataclass

from k2d.config.fields import STRICT, Alpha, Count, Name, NotNegative, Positive, Precision, Share, Whole


@dataclass(frozen=True, config=STRICT)
class Steps:
    """Steps, batches and learning rate."""

    steps: Count = 1000
    batch_size: Count = 24
    """Windows (or utterances) per step, summed over all processes."""
    accumulate: Count = 1
    """Backward passes per step. batch_size must be divisible by it."""
    lr: Positive = 2e-3
    warmup_steps: Whole = 100
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "constant"
    """The learning rate after the warm-up."""


@dataclass(frozen=True, config=STRICT)
class Augment:
    """Augmentation of a sample's audio."""

    gain_db: NotNegative = 6.0
    """Largest change of level, up or down."""
    noise: Share = 0.5
    """Share of samples with added noise: white, pink, or other voices."""
    snr_db: tuple[float, float] = (5.0, 30.0)
    """Smallest and largest speech-to-noise ratio."""
    echo: Share = 0.3
    """Share of samples with added echo."""
    speed: tuple[Positive, Positive] = (1.0, 1.0)
    """Lowest and highest speed of playback. It changes the pitch, too, like another speaker."""


@dataclass(frozen=True, config=STRICT)
class Phase(Steps):
    """A part of a training with its own data and its own set of trained weights."""

    data: Literal["utterances", "windows"] = "windows"
    """Single utterances in batches of similar length, or windows of several utterances with pauses between them."""
    window_s: Positive | None = None
    """Length of composed windows. Default: the recogniser's window."""
    train: Literal["encoder", "decoder", "all"] = "all"
    """`encoder`: with CTC alone. `decoder`: with a fixed encoder."""
    keep_batches: Whole = 0
    """If only the decoder is trained: encode this many batches once and use them repeatedly. 0: always new batches."""
    decoder_layers: Count | None = None
    """Number of decoder layers to use in this phase: the first N - 1 and the last. The skipped layers must be
    untrained; they pass their input through unchanged (k2d/models/espnet_s2t/init.py). Default: all."""
    lean_on_ctc: bool = False
    """Start this phase of a new decoder with the CTC head as its output layer, and with a last layer that passes on the
    frames that it attends to. For use after phases that train the encoder alone."""
    ctc_weight: Share = 0.3
    """Weight of the CTC loss if encoder and decoder are trained together."""
    flat_start: Share = 0.0
    """Weight of a loss that expects the tokens at equal distances, in addition to CTC, if the encoder is trained alone.
    Without it, a new encoder writes only blanks for hundreds of steps."""
    label_smoothing: Alpha = 0.1
    token_noise: Share = 0.0
    """Share of the decoder's input words that are replaced by others, so that it depends on the audio."""
    timestamps: bool = True
    cut_share: Share = 0.2
    """Share of windows that end in the middle of an utterance, if one reaches their end."""
    short_share: Share = 0.2
    """Share of windows whose rest is silent after one of the utterances, as at the end of a recording."""
    augment: Augment = field(default_factory=Augment)
    spec_augment: bool = True
    """Mask stretches of time and frequency as in the model config. In a first phase, CTC then writes only blanks."""


@dataclass(frozen=True, config=STRICT)
class Running:
    """Settings of a training as a whole."""

    weight_decay: NotNegative = 0.01
    gradient_clip: Positive = 1.0
    precision: Precision = "fp32"
    checkpoint_every_steps: Count = 200
    evaluations: Count = 5
    """How often free-running decoding of the development sets is measured in the last phase: at equal distances, the
    last time at its end. Earlier phases are measured at their end, if they train the decoder."""
    average_best: Count = 3
    """Number of the last phase's best checkpoints that are averaged, if the average is better than the best one."""


@dataclass(frozen=True, config=STRICT)
class Training(Running):
    """The training of a teacher or an auxiliary, phase by phase."""

    phases: dict[Name, Phase] = field(default_factory=lambda: {"all": Phase()})
    """The phases in order. Each starts with the weights of the one before and with a new optimiser."""


@dataclass(frozen=True, config=STRICT)
class StudentTraining(Steps, Running):
    """The training of a student."""
