"""The memory of one device in decoding and training, line by line, and a batch that would fit if this one does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from k2d.models.shape import Shape
from k2d.objectives import CHUNK_ELEMENTS
from k2d.plan.machines import GIB

USABLE = 0.92
"""The share of a device's memory that can be used, because an allocator leaves gaps."""
CUDA_BYTES = GIB
"""Used by CUDA's context and libraries before any computation."""

BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}

_MIXED = 2  # bytes of a number under autocast
_SAVED_ENCODER_LAYER = 34  # bytes per frame and feature kept for the backward pass (Korthikanti et al., 2022)
_SAVED_DECODER_LAYER = 34 + 13  # its cross-attention is a second attention block without a feed-forward block
_WORKING = 8  # copies of a layer's input in memory at once without gradients; the feed-forward's middle counts as four
_LOSS_COPIES = 6  # fp32 tensors of one piece of logits: both sides, their log-probabilities, product and gradient


@dataclass(frozen=True, slots=True)
class Line:
    """An amount, with its formula."""

    what: str
    amount: float
    formula: str


@dataclass(frozen=True, slots=True)
class Decoding:
    """The model and the options of decoding that determine its memory."""

    shape: Shape
    batch_size: int
    beam: int
    max_tokens: int
    precision: str


@dataclass(frozen=True, slots=True)
class Distillation:
    """A training step of a student on one device."""

    student: Shape
    teacher: Shape
    n_windows: int
    """In one backward pass on this device."""
    n_tokens: int
    """In the longest label, to which all labels are padded."""
    precision: str
    freeze_encoder: bool = True
    freeze_positions: bool = False
    keep_encoded: bool = False
    runs_teacher: bool = True
    """The teacher's decoder reads the labels, too: some term of the loss compares with it."""

    @property
    def trainable(self) -> int:
        positions = self.student.position_parameters if self.freeze_positions else 0
        encoder = 0 if self.freeze_encoder else self.student.encoder_parameters
        return encoder + self.student.decoder_parameters - positions


def total(lines: Iterable[Line]) -> float:
    return sum(line.amount for line in lines)


def decoding_lines(work: Decoding, *, on_gpu: bool) -> list[Line]:
    """The memory of a device while it decodes a batch of windows."""
    shape, n_bytes, n_rows = work.shape, BYTES[work.precision], work.batch_size * work.beam
    numbers = shape.parameters + shape.fixed_numbers
    cross = 2 * work.batch_size * shape.n_decoder_layers * shape.n_frames * shape.width
    own = 2 * n_rows * shape.n_decoder_layers * min(work.max_tokens, shape.n_context) * shape.width
    lines = [
        Line("weights", numbers * n_bytes, f"parameters and fixed tables × {n_bytes} bytes"),
        _encoder_at_work(shape, work.batch_size, n_bytes),
        Line("keys and values of frames", cross * n_bytes, f"2 × windows × layers × frames × width × {n_bytes} bytes"),
        Line("keys and values of tokens", own * n_bytes, f"2 × rows × layers × max_tokens × width × {n_bytes} bytes"),
        Line("logits", n_rows * shape.n_vocabulary * 4 * 2, "rows × vocabulary × 4 bytes, and their log-probabilities"),
    ]
    return [*lines, _cuda()] if on_gpu else lines


def training_lines(step: Distillation, *, on_gpu: bool) -> list[Line]:
    """The memory of a device at the peak of a training step."""
    student, teacher = step.student, step.teacher
    mixed = step.precision == "bf16"
    n_bytes = BYTES[step.precision]
    both = student.parameters + student.fixed_numbers + teacher.parameters + teacher.fixed_numbers
    logits = step.n_windows * step.n_tokens * student.n_vocabulary
    piece = min(logits, CHUNK_ELEMENTS)
    whole = f"{logits * 4 * _LOSS_COPIES / GIB:.1f} GiB if made at once"
    lines = [
        Line("weights of student and teacher", both * 4, "parameters and fixed tables of both × 4 bytes"),
        Line("gradients", step.trainable * 4, "trainable × 4 bytes"),
        Line("optimiser", step.trainable * 8, "trainable × 2 moments × 4 bytes"),
        _kept_for_backward(step, n_bytes),
        *([_teacher_decoder(teacher, step, n_bytes)] if step.runs_teacher else []),
        Line("logits of both, in pieces", piece * 4 * _LOSS_COPIES, f"{_LOSS_COPIES} × piece × 4 bytes; {whole}"),
    ]
    if mixed:
        lines.insert(1, Line("bf16 copies of what learns", step.trainable * _MIXED, "trainable × 2 bytes (autocast)"))
    if not step.keep_encoded:
        lines.insert(-2, _encoder_at_work(teacher, step.n_windows, n_bytes))
    return [*lines, _cuda()] if on_gpu else lines


def _encoder_at_work(shape: Shape, n_windows: int, n_bytes: int) -> Line:
    hidden = _WORKING * n_windows * shape.n_frames * shape.width * n_bytes
    formula = f"{_WORKING} × windows × frames × width × {n_bytes} bytes, one layer at a time"
    if shape.has_fused_attention:
        return Line("encoder at work", hidden, formula)
    scores = 2 * n_windows * shape.n_heads * shape.n_frames**2 * n_bytes
    return Line("encoder at work", hidden + scores, f"{formula}, and 2 × windows × heads × frames² of scores")


def _kept_for_backward(step: Distillation, n_bytes: int) -> Line:
    """Activations of the trained layers. The published rule is for numbers of 16 bits; fp32 doubles it."""
    student, scale = step.student, n_bytes / _MIXED
    n_rows = step.n_windows * step.n_tokens
    of_tokens = student.n_decoder_layers * n_rows * student.width * _SAVED_DECODER_LAYER
    of_frames = student.n_decoder_layers * 2 * step.n_windows * student.n_frames * student.width * _MIXED
    formula = f"layers × windows × width × ({_SAVED_DECODER_LAYER} bytes × tokens + 2 × 2 bytes × frames)"
    amount = float(of_tokens + of_frames)
    if not step.freeze_encoder:
        frames = step.n_windows * student.n_frames
        amount += student.n_encoder_layers * frames * student.width * _SAVED_ENCODER_LAYER
        formula += f" + encoder layers × windows × frames × width × {_SAVED_ENCODER_LAYER} bytes"
    if not student.has_fused_attention:
        per_row = student.n_heads * 5 * student.n_decoder_layers * (student.n_frames + step.n_tokens)
        amount += n_rows * per_row
        formula += " + scores of attention × 5 bytes"
        if not step.freeze_encoder:
            amount += 5 * step.n_windows * student.n_heads * student.n_encoder_layers * student.n_frames**2
    return Line("activations for the backward pass", amount * scale, formula + (", × 2 in fp32" if scale > 1 else ""))


def _teacher_decoder(teacher: Shape, step: Distillation, n_bytes: int) -> Line:
    rows = step.n_windows * (_WORKING * step.n_tokens + 2 * teacher.n_frames)
    formula = f"windows × width × ({_WORKING} × tokens + 2 × frames) × {n_bytes} bytes, one layer at a time"
    return Line("teacher's decoder at work", rows * teacher.width * n_bytes, formula)


def _cuda() -> Line:
    return Line("CUDA", CUDA_BYTES, "its context and libraries")


def fits(lines: Iterable[Line], memory_bytes: float) -> bool:
    return total(lines) <= USABLE * memory_bytes


def largest_batch(work: Decoding, memory_bytes: float, *, on_gpu: bool) -> int:
    """The largest number of windows that fits, up to the number asked for. 0 if not even one fits."""
    return _largest(
        work.batch_size, lambda n: fits(decoding_lines(replace(work, batch_size=n), on_gpu=on_gpu), memory_bytes)
    )


def largest_part(step: Distillation, memory_bytes: float, *, on_gpu: bool) -> int:
    """The largest number of windows in a backward pass that fits, up to the number asked for. 0 if not even one
    fits.
    """
    return _largest(
        step.n_windows, lambda n: fits(training_lines(replace(step, n_windows=n), on_gpu=on_gpu), memory_bytes)
    )


def _largest(most: int, is_possible: Callable[[int], bool]) -> int:
    """The largest number up to `most` that is possible. If a number is possible, all smaller ones are."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if is_possible(middle) else (low, middle - 1)
    return low
