"""The disk space of each stage's output, from sizes per hour that were measured and from the sizes of models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from k2d.models.shape import Shape
from k2d.plan.memory import Distillation, Line

KB = 1000

LABELS_PER_HOUR = 250 * KB
CHUNKS_PER_HOUR = 175 * KB
OPINIONS_PER_HOUR = 135 * KB
DISTANCES_PER_CHUNK = 120
KEPT_PER_CHUNK = 440
"""Measured on the mini recipe's files (hyp.jsonl, text, tables and data directories), rounded up."""

TABLE_PER_CHUNK = 1_900
"""For chunks of 60 words, measured by tools/bench/chunk_table.py: text, and ids of four bytes with and without
times.
"""

AUDIO_PER_HOUR = 16000 * 2 * 3600
"""One channel of 16-bit samples at 16 kHz."""
FLAC_SHARE = 0.54
"""Measured on noise-like speech. Quiet speech takes less space."""

KEPT_LAST = 2
"""The last checkpoints of a training that are kept in addition to the best ones (k2d/train/checkpoints.py)."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """The numbers that determine the disk space."""

    hours: float
    n_chunks: float
    n_auxiliaries: int
    n_methods: int
    n_students: int
    kept_checkpoints: int
    cuts_audio: bool
    """Whether chunks are joined from pieces, so that their audio is written."""
    encoded_bytes: int
    """Bytes of each number of the encoder's output that is kept; 0 if none is."""
    n_exports: int
    """The number of students times the number of formats."""


def disk_lines(amounts: Amounts, teacher: Shape, auxiliaries: list[Shape], step: Distillation) -> Iterator[Line]:
    """The size of each stage's output. Stages with very small outputs are left out."""
    hours, n_chunks = amounts.hours, amounts.n_chunks
    student_bytes = 4 * step.student.parameters
    yield Line("1 prepare: the audio itself", hours * AUDIO_PER_HOUR, "hours × 16 kHz × 2 bytes as WAV, in its place")
    models = 4 * (teacher.parameters + sum(shape.parameters for shape in auxiliaries))
    yield Line("3, 4 teacher and auxiliaries", models, "parameters × 4 bytes")
    yield Line("5 pseudo_label", hours * LABELS_PER_HOUR, "hours × 250 kB, as in the mini recipe")
    yield Line("6 chunk", hours * CHUNKS_PER_HOUR, "hours × 175 kB, as in the mini recipe")
    if amounts.cuts_audio:
        audio = hours * AUDIO_PER_HOUR * FLAC_SHARE
        yield Line("6 chunk: audio of its own", audio, "hours × 16 kHz × 2 bytes × 0.54 as FLAC (chunk.duration: sum)")
    opinions = amounts.n_auxiliaries * hours * OPINIONS_PER_HOUR
    yield Line("7 second_opinion", opinions, "auxiliaries × hours × 135 kB, as in the mini recipe")
    selected = n_chunks * (amounts.n_auxiliaries * DISTANCES_PER_CHUNK + amounts.n_methods * KEPT_PER_CHUNK)
    yield Line("8 select", selected, "chunks × (auxiliaries × 120 bytes + methods × 440 bytes), as if all were kept")
    yield Line("9 init_student", student_bytes, "parameters × 4 bytes")
    tables = n_chunks * amounts.n_methods * TABLE_PER_CHUNK
    yield Line("10 distill: tables of chunks", tables, "chunks × methods × 1.9 kB, as if all were kept (cache/tables)")
    if amounts.encoded_bytes:
        encoded = n_chunks * teacher.n_frames * teacher.width * amounts.encoded_bytes
        formula = f"chunks × frames × width × {amounts.encoded_bytes} bytes (distill.keep_encoded)"
        yield Line("10 distill: encoder's output", encoded, formula)
    n_kept = amounts.kept_checkpoints + KEPT_LAST
    checkpoints = (n_kept + 1) * step.trainable * 12
    yield Line(
        "10 distill: checkpoints", checkpoints, f"({n_kept} kept + the one being written) × trainable × 12 bytes"
    )
    yield Line("10 distill: students", amounts.n_students * student_bytes, "students × parameters × 4 bytes")
    exported = amounts.n_exports * student_bytes
    yield Line("14 export", exported, "exports × parameters × 4 bytes at most")
