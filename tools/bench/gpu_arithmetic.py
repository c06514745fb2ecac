"""Computes the bytes that decoding must read and the operations that training must perform. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import replace

from k2d.models.shape import Shape
from k2d.plan.memory import BYTES


def decoding_bytes(shape: Shape, n_windows: int, n_prompt: int, n_steps: int, precision: str) -> int:
    """The bytes that the decoder reads in all steps of a batch: weights, keys and values.

    Step t reads each weight of the decoder once, the keys and values of all frames, and those of the prompt and of t
    tokens. The single row of position vectors that it reads is not counted.
    """
    weights = shape.decoder_parameters - shape.position_parameters
    per_place = 2 * n_windows * shape.n_decoder_layers * shape.width
    n_places_of_tokens = n_steps * n_prompt + n_steps * (n_steps + 1) // 2
    n_numbers = n_steps * (weights + per_place * shape.n_frames) + per_place * n_places_of_tokens
    return n_numbers * BYTES[precision]


def training_flops(student: Shape, teacher: Shape, n_tokens: int, n_classes: int, *, keep_encoded: bool) -> int:
    """The operations of one window in a step: the teacher forward, the student's decoder forward and backward.

    Operations that are repeated to save memory are not counted. The backward pass costs twice the forward pass, except
    for the keys and values of frames: the encoder is frozen, so only their weights need gradients.
    """
    of_student = replace(student, n_vocabulary=n_classes)
    of_frames = student.n_decoder_layers * 2 * student.n_frames * 2 * student.width**2
    learning = 3 * of_student.decoder_flops(n_tokens) - of_frames
    if keep_encoded:  # only the teacher's output layer runs: its last hidden states are kept as well
        return learning + 2 * n_tokens * teacher.width * n_classes
    return learning + teacher.encoder_flops() + replace(teacher, n_vocabulary=n_classes).decoder_flops(n_tokens)


def share(amount: float, seconds: float, peak_per_s: float | None) -> float | None:
    """The share of a device's peak that was reached. None if the peak is unknown.

    >>> share(30.0, 2.0, 100.0), share(30.0, 2.0, None)
    (0.15, None)
    """
    return None if peak_per_s is None else amount / seconds / peak_per_s
