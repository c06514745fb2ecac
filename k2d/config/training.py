"""The sections of an experiment for training."""

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
    """Windows (or utterances) per step, over all processes."""
    accumulate: Count = 1
    """Backward passes per step; batch_size is divided by it."""
    lr: Positive = 2e-3
    warmup_steps: Whole = 100
    schedule: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "constant"
    """After the warm-up."""


@dataclass(frozen=True, config=STRICT)
class Augment:
    """Augmentation of a sample's audio."""

    gain_db: NotNegative = 6.0
    """Largest change of loudness, up or down."""
    noise: Share = 0.5
    """How often noise is added: white, pink, or other voices."""
    snr_db: tuple[float, float] = (5.0, 30.0)
    """Smallest and largest ratio of speech to noise."""
    echo: Share = 0.3
    """How often echo is added."""
    speed: tuple[Positive, Positive] = (1.0, 1.0)
    """Lowest and highest speed of playback, which changes the pitch as well: as if another person spoke."""


@dataclass(frozen=True, config=STRICT)
class Phase(Steps):
    """A part of a training with its own data and its own set of learning weights."""

    data: Literal["utterances", "windows"] = "windows"
    """Single utterances in batches of like length, or windows composed of several with pauses between them."""
    window_s: Positive | None = None
    """Length of composed windows; default: the recogniser's."""
    train: Literal["encoder", "decoder", "all"] = "all"
    """`encoder`: by CTC alone; `decoder`: from a fixed encoder."""
    keep_batches: Whole = 0
    """If the decoder learns alone: this many batches are encoded once and used again and again. 0: always
    new ones."""
    decoder_layers: Count | None = None
    """Number of decoder layers to use in this phase: the first N - 1 and the last. The skipped layers must be
    untrained; they pass their input through unchanged (k2d/models/espnet_s2t/init.py). Default: all."""
    lean_on_ctc: bool = False
    """A new decoder starts this phase with the CTC head as its output layer, and with a last layer that passes on the
    frames that it attends to. For use after phases that train the encoder alone."""
    ctc_weight: Share = 0.3
    """Share of the CTC loss where both parts learn."""
    flat_start: Share = 0.0
    """Share of a loss that expects each token at its place if all tokens were equally long, beside CTC when the
    encoder learns alone. Without it a new encoder writes only blanks for hundreds of steps."""
    label_smoothing: Alpha = 0.1
    token_noise: Share = 0.0
    """Share of the decoder's input words that are replaced by others, so that it has to listen."""
    timestamps: bool = True
    cut_share: Share = 0.2
    """How often a window ends in the middle of an utterance where it could."""
    short_share: Share = 0.2
    """How often the rest of a window is silent after one of its utterances, as at the end of a recording."""
    augment: Augment = field(default_factory=Augment)
    spec_augment: bool = True
    """Mask stretches of time and frequency by the model's config. In a first phase CTC then stays with blanks."""


@dataclass(frozen=True, config=STRICT)
class Running:
    """Settings of a training as a whole."""

    weight_decay: NotNegative = 0.01
    gradient_clip: Positive = 1.0
    precision: Precision = "fp32"
    checkpoint_every_steps: Count = 200
    evaluations: Count = 5
    """How often free-running decoding of the development sets is measured in the last phase: at equal distances, the
    last time at its end. Phases before it are measured at their end, if the decoder learns in them."""
    average_best: Count = 3
    """How many of the last phase's best checkpoints are averaged into the model, if that is better than the best."""


@dataclass(frozen=True, config=STRICT)
class Training(Running):
    """How a teacher or an auxiliary is trained: phase after phase."""

    phases: dict[Name, Phase] = field(default_factory=lambda: {"all": Phase()})
    """In their order. A phase begins with the weights of the one before, and with a new optimiser."""


@dataclass(frozen=True, config=STRICT)
class StudentTraining(Steps, Running):
    """How a student is trained."""
