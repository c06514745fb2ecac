"""The speed of a device, from the operations and bytes of the work and the share of the peak that is reached."""

from __future__ import annotations

from dataclasses import dataclass

from k2d.models.shape import Shape
from k2d.plan.machines import Machine
from k2d.plan.memory import BYTES, Decoding, Distillation

TOKENS_PER_S = 5.0
"""Of speech, including timestamps: 150 tokens in a window of 30 s."""
FILLED = 0.9
"""The share of a window by which decoding moves on, and the share of a chunk that is speech: 27 s of 30."""

SELECT_CHUNKS_PER_S = 5200.0
"""Chunks per second on one core, if their distances are not cached (tools/bench/distances.py)."""


@dataclass(frozen=True, slots=True)
class Rate:
    """The speed of one device."""

    per_s: float
    """Windows or samples per second."""
    flops: float
    """Operations for one window or sample."""

    def share_of_peak(self, machine: Machine, precision: str) -> float:
        return self.per_s * self.flops / machine.flops_per_s[precision]


def tokens_of(shape: Shape) -> int:
    """The number of tokens in a usual window."""
    return round(TOKENS_PER_S * shape.window_s)


def window_s(shape: Shape) -> float:
    """The seconds of speech by which decoding moves on."""
    return FILLED * shape.window_s


def decoding_rate(work: Decoding, machine: Machine, *, by_ctc: bool = False) -> Rate:
    """Windows per second. The encoder is limited by operations; a decoder step by memory bandwidth or operations."""
    shape, n_tokens = work.shape, tokens_of(work.shape)
    compute = machine.compute_share * machine.flops_per_s[work.precision]
    encoder_s = shape.encoder_flops() / compute
    if by_ctc:
        return Rate(1 / encoder_s, shape.encoder_flops())
    steps_flops = shape.decoder_flops(n_tokens) * work.beam
    reading_s = n_tokens * bytes_per_step(work) / (machine.read_share * machine.bytes_per_s)
    return Rate(1 / (encoder_s + max(reading_s, steps_flops / compute)), shape.encoder_flops() + steps_flops)


def bytes_per_step(work: Decoding) -> float:
    """The bytes that a decoder step reads for one window: its share of the weights, and all keys and values."""
    shape = work.shape
    per_place = 2 * shape.n_decoder_layers * shape.width
    kept = per_place * (shape.n_frames + work.beam * tokens_of(shape) / 2)
    return (shape.decoder_parameters / work.batch_size + kept) * BYTES[work.precision]


def sample_flops(step: Distillation) -> int:
    """Operations for one window: the encoder and both decoders forward, and twice as much backward for trained
    parts.
    """
    n_tokens = tokens_of(step.student)
    student, teacher = step.student.decoder_flops(n_tokens), step.teacher.decoder_flops(n_tokens)
    encoder = 0 if step.keep_encoded else step.teacher.encoder_flops()
    learning_encoder = 0 if step.freeze_encoder else 3 * step.student.encoder_flops()
    return encoder + learning_encoder + (teacher if step.runs_teacher else 0) + 3 * student


def distilling_rate(step: Distillation, machine: Machine) -> Rate:
    """Samples per second."""
    flops = sample_flops(step)
    return Rate(machine.compute_share * machine.flops_per_s[step.precision] / flops, flops)
