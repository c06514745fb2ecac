"""The config sections on students: what they start from, and how they are trained."""

from __future__ import annotations

from dataclasses import field
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from k2d.config.fields import STRICT, Count, Name, NotNegative, Positive, Share, Term, Whole
from k2d.config.training import StudentTraining


@dataclass(frozen=True, config=STRICT)
class Student:
    """Stage 9: the parts of the teacher that the student starts from. The encoder is always copied whole."""

    decoder_layers: Literal["first_last", "spaced"] | tuple[Whole, ...] = "first_last"
    """Teacher decoder layers to copy: a rule, or their numbers from 0."""
    n_decoder_layers: Count = 2
    """Number of layers, if a rule chooses them."""
    freeze_encoder: bool = True
    freeze_positions: bool = False


@dataclass(frozen=True, config=STRICT)
class Distill:
    """Stage 10: the loss and the training of the students."""

    objective: dict[Term, NotNegative] = field(default_factory=lambda: {"ce": 0.8, "kl": 1.0})
    """Terms of the loss by name, with their weights (paper: 0.8 and 1.0)."""
    temperature: Positive = 2.0
    """Temperature of the kl term, which is multiplied by its square. The paper gives none; 2 is Distil-Whisper's."""
    reduction: Literal["token_mean", "sum"] = "token_mean"
    timestamps_probability: Share = 1.0
    """Share of labels with timestamps (paper: all)."""
    previous_text_probability: Share = 0.0
    """Share of chunks whose prompt is the previous chunk's text (paper: none)."""
    token_noise: Share = 0.0
    """Share of the words in the student's input that are replaced by others, so that it depends on the audio and learns
    to continue after an error. Its targets and the teacher's input are not changed."""
    vocabulary: Literal["all", "in_use"] = "all"
    """The tokens that the student is trained on. `in_use`: those that occur in the labels, all control and time tokens,
    and a sample of the others. The loss of a token is then over these, and no other row of the embedding and output
    layer changes. It saves most of a step where the labels use a small part of a large vocabulary."""
    sampled_tokens: Whole = 2000
    """With `vocabulary: in_use`: number of tokens from no label that take part, so that the student continues to rate
    such tokens low. They are drawn once for each student, by its seed. Each counts for as many as it stands for."""
    heldout_share: Share = 0.02
    """Share of the unlabelled recordings that is not used for training but for choosing checkpoints."""
    keep_encoded: bool = False
    """Run the teacher on every chunk once, for all students. A file stores its encoder's output (4 bytes per frame and
    feature: 0.1 MB for 10 s in the mini recipe, 7.7 MB for 30 s of Whisper large), and its decoder's last hidden states
    on the label (4 bytes per token and feature). Needs a frozen encoder."""
    encoded_precision: Literal["fp32", "fp16"] = "fp32"
    """Precision of the encoder's output that `keep_encoded` stores. fp16 halves the file and what a step reads; the
    outputs are rounded to it, to about three digits."""
    nonspeech_per_batch: Count = 1
    """With `corpora.nonspeech`: how many chunks of a batch are without words. The student's target there is the end of
    the text, and the terms that read the teacher are left out, because the teacher may invent words."""
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1)] = (1,)
    """One student per method and seed."""
    controls: tuple[Literal["teacher_more", "teacher_self", "student_pool"], ...] = ()
    """Controls, which show whether the gain has another cause: a row of the table for each, with the first seed."""
    teacher_self_of: Name | None = None
    """With the control `teacher_self`: the method whose chunks the teacher learns from."""
    training: StudentTraining = field(default_factory=StudentTraining)
